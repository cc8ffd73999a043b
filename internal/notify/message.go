package notify

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/texts"
)

// Message is what is said of one event of a run.
type Message struct {
	// ID is the same whenever and however often the event is sent, and no other event has it.
	ID    string
	Event v1alpha1.NotificationEvent
	Time  time.Time
	Data  Data
}

// Data are the figures of a run: its status, without what may come from claims or from other programs.
type Data struct {
	Namespace       string             `json:"namespace"`
	Export          string             `json:"export"`
	OrganizationID  string             `json:"organizationID"`
	Book            string             `json:"book"`
	Run             string             `json:"run"`
	RunType         v1alpha1.RunType   `json:"runType"`
	Phase           v1alpha1.RunPhase  `json:"phase"`
	Reason          v1alpha1.Reason    `json:"reason"`
	Slot            string             `json:"slot,omitempty"`
	StartedAt       string             `json:"startedAt,omitempty"`
	CompletedAt     string             `json:"completedAt,omitempty"`
	Claims          int64              `json:"claims"`
	Lines           int64              `json:"lines"`
	Held            int64              `json:"held"`
	Receipts        int64              `json:"receipts,omitempty"`
	ReceiptsMissing int64              `json:"receiptsMissing,omitempty"`
	Debit           string             `json:"debit,omitempty"`
	Currency        string             `json:"currency,omitempty"`
	FirstVoucher    string             `json:"firstVoucher,omitempty"`
	LastVoucher     string             `json:"lastVoucher,omitempty"`
	Location        string             `json:"location,omitempty"`
	SHA256          string             `json:"sha256,omitempty"`
	Files           []v1alpha1.RunFile `json:"files,omitempty"`
	FileCount       int64              `json:"fileCount,omitempty"`
	Approval        *Approval          `json:"approval,omitempty"`
	Reverses        string             `json:"reverses,omitempty"`
	Redelivers      string             `json:"redelivers,omitempty"`
	Links           Links              `json:"links"`
}

// Approval is what a run waits for, or has waited for.
type Approval struct {
	// Digest is what an approval names.
	Digest string `json:"digest"`
	// Until is how long the run waits for it.
	Until string `json:"until,omitempty"`
}

// Links lead to where more is said.
type Links struct {
	// Run is the path of the ExportRun at the API server.
	Run string `json:"run"`
	// Page is where a person finds the run, if the operator knows of one.
	Page string `json:"page,omitempty"`
}

// MessageOf says what there is to say of an event of a run. page is the URL of a page of a run with {namespace}, {export} and {run} in it;
// empty if there is none.
func MessageOf(run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport, event v1alpha1.NotificationEvent, page string) *Message {
	status := &run.Status
	data := Data{
		Namespace: run.Namespace, Export: export.Name, OrganizationID: texts.Printable(export.Spec.OrganizationID, longestText), Book: orElse(export.Spec.Book, "main"),
		Run: run.Name, RunType: orElse(run.Spec.Type, v1alpha1.RunExport), Phase: status.Phase, Reason: readyReason(run),
		Claims: status.Claims, Lines: status.Lines, Held: status.Held, Receipts: status.Receipts, ReceiptsMissing: status.ReceiptsMissing,
		Debit: status.Debit, Currency: status.Currency, FirstVoucher: status.FirstVoucher, LastVoucher: status.LastVoucher,
		Location: texts.Printable(status.Location, longestLocation), SHA256: status.SHA256, Files: status.Files, FileCount: status.FileCount,
		Links: linksOf(run, page),
	}
	if status.StartedAt != nil {
		data.StartedAt = rfc3339(status.StartedAt.Time)
	}
	if status.CompletedAt != nil {
		data.CompletedAt = rfc3339(status.CompletedAt.Time)
	}
	if run.Spec.Slot != nil {
		data.Slot = rfc3339(run.Spec.Slot.Time)
	}
	if run.Spec.Reverses != nil {
		data.Reverses = run.Spec.Reverses.Name
	}
	if run.Spec.Redelivers != nil {
		data.Redelivers = run.Spec.Redelivers.Name
	}
	if approval := status.Approval; event == v1alpha1.EventAwaitingApproval && approval != nil {
		data.Approval = &Approval{Digest: approval.Digest}
		if approval.Until != nil {
			data.Approval.Until = rfc3339(approval.Until.Time)
		}
	}
	return &Message{ID: string(run.UID) + "-" + strings.ToLower(string(event)), Event: event, Time: timeOf(run, event).UTC(), Data: data}
}

// timeOf is when an event of a run has happened. An event that is still to be sent has the time at which it was recorded.
func timeOf(run *v1alpha1.ExportRun, event v1alpha1.NotificationEvent) time.Time {
	for _, one := range run.Status.Notifications {
		if one.Event == event && one.State == v1alpha1.NotificationPending {
			return one.At.Time
		}
	}
	if run.Status.CompletedAt != nil {
		return run.Status.CompletedAt.Time
	}
	return run.CreationTimestamp.Time
}

// Bounds of what is said: no honest text is longer.
const (
	longestText     = 200
	longestLocation = 2000
)

func orElse[T ~string](value, byDefault T) T {
	if value == "" {
		return byDefault
	}
	return value
}

func rfc3339(at time.Time) string { return at.UTC().Format(time.RFC3339) }

func linksOf(run *v1alpha1.ExportRun, page string) Links {
	links := Links{Run: "/apis/" + v1alpha1.GroupVersion.String() + "/namespaces/" + run.Namespace + "/exportruns/" + run.Name}
	if page != "" {
		links.Page = strings.NewReplacer("{namespace}", url.PathEscape(run.Namespace), "{export}", url.PathEscape(run.Spec.ExportRef.Name), "{run}", url.PathEscape(run.Name)).Replace(page)
	}
	return links
}

// CheckPage refuses a page of runs that no link can lead to.
func CheckPage(page string) error {
	if page == "" {
		return nil
	}
	filled := strings.NewReplacer("{namespace}", "n", "{export}", "e", "{run}", "r").Replace(page)
	if at, err := url.Parse(filled); err != nil || at.Host == "" || at.Scheme != "https" && at.Scheme != "http" || strings.ContainsAny(filled, "{} ") {
		return fmt.Errorf("--run-page is %q; write a URL such as https://ledgerport.example.com/namespaces/{namespace}/runs/{run}", page)
	}
	return nil
}

// types of CloudEvents.
var types = map[v1alpha1.NotificationEvent]string{
	v1alpha1.EventSucceeded:        "dev.ledgerport.run.succeeded",
	v1alpha1.EventEmpty:            "dev.ledgerport.run.empty",
	v1alpha1.EventFailed:           "dev.ledgerport.run.failed",
	v1alpha1.EventIncomplete:       "dev.ledgerport.run.incomplete",
	v1alpha1.EventCancelled:        "dev.ledgerport.run.cancelled",
	v1alpha1.EventReversed:         "dev.ledgerport.run.reversed",
	v1alpha1.EventClaimsHeld:       "dev.ledgerport.claims.held",
	v1alpha1.EventAwaitingApproval: "dev.ledgerport.run.awaitingapproval",
}

// cloudEvent is an event in the structured mode of CloudEvents 1.0.
type cloudEvent struct {
	SpecVersion     string `json:"specversion"`
	ID              string `json:"id"`
	Source          string `json:"source"`
	Type            string `json:"type"`
	Subject         string `json:"subject"`
	Time            string `json:"time"`
	DataContentType string `json:"datacontenttype"`
	Data            *Data  `json:"data"`
}

// cloudEvent returns the message as a CloudEvent in JSON.
func (m *Message) cloudEvent() ([]byte, error) {
	return json.Marshal(cloudEvent{
		SpecVersion: "1.0", ID: m.ID, Type: types[m.Event], Subject: m.Data.Run, Time: rfc3339(m.Time), DataContentType: "application/json", Data: &m.Data,
		Source: "/apis/" + v1alpha1.GroupVersion.String() + "/namespaces/" + m.Data.Namespace + "/accountingexports/" + m.Data.Export,
	})
}

// summary is the message in one line.
func (m *Message) summary() string {
	d := &m.Data
	what := "run " + d.Run + " "
	switch m.Event {
	case v1alpha1.EventSucceeded:
		if d.RunType == v1alpha1.RunRedeliver {
			return what + "has delivered the files of run " + d.Redelivers + " again"
		}
		return what + fmt.Sprintf("has exported %s, %s %s", claims(d.Claims), d.Debit, d.Currency)
	case v1alpha1.EventEmpty:
		return what + "found no claim to export"
	case v1alpha1.EventFailed:
		return what + "has failed (" + d.Reason + ")"
	case v1alpha1.EventIncomplete:
		return what + "is incomplete (" + d.Reason + "): the accounting system has a part of it"
	case v1alpha1.EventCancelled:
		return what + "was cancelled"
	case v1alpha1.EventReversed:
		return what + fmt.Sprintf("has reversed %s of run %s, %s %s", claims(d.Claims), d.Reverses, d.Debit, d.Currency)
	case v1alpha1.EventClaimsHeld:
		return what + "has held " + claims(d.Held)
	case v1alpha1.EventAwaitingApproval:
		if !m.waits() {
			return what + "has waited for its approval, and does so no longer"
		}
		return what + fmt.Sprintf("waits for its approval, with %s, %s %s", claims(d.Claims), d.Debit, d.Currency)
	default:
		return what + "is " + string(d.Phase)
	}
}

func claims(n int64) string {
	if n == 1 {
		return "1 claim"
	}
	return fmt.Sprintf("%d claims", n)
}

// waits reports whether what the message is of still waited for its approval when the message was made. An event may be told late.
func (m *Message) waits() bool {
	return m.Event == v1alpha1.EventAwaitingApproval && m.Data.Phase == v1alpha1.RunAwaitingApproval
}

// text is the message as lines for a person.
func (m *Message) text() string {
	var body strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&body, "%-14s %s\r\n", name+":", value)
		}
	}
	d := &m.Data
	body.WriteString(strings.ToUpper(m.summary()[:1]) + m.summary()[1:] + ".\r\n\r\n")
	line("Export", d.Namespace+"/"+d.Export)
	line("Organisation", d.OrganizationID)
	line("Book", d.Book)
	line("Run", d.Run)
	line("Reason", d.Reason)
	line("Began", d.StartedAt)
	line("Ended", d.CompletedAt)
	line("Claims", strconv.FormatInt(d.Claims, 10))
	line("Held", strconv.FormatInt(d.Held, 10))
	line("Total", strings.TrimSpace(d.Debit+" "+d.Currency))
	if d.FirstVoucher != "" {
		line("Vouchers", d.FirstVoucher+" to "+d.LastVoucher)
	}
	if d.Approval != nil && m.waits() {
		line("Waits until", d.Approval.Until)
		line("Digest", d.Approval.Digest)
	}
	line("File", d.Location)
	line("SHA-256", d.SHA256)
	line("Page", d.Links.Page)
	if m.waits() {
		fmt.Fprintf(&body, "\r\nTo look at it, and to approve it: kubectl ledgerport approve %s --namespace %s\r\n", d.Run, d.Namespace)
		return body.String()
	}
	fmt.Fprintf(&body, "\r\nWhy, and what to do: kubectl describe exportrun --namespace %s %s\r\n", d.Namespace, d.Run)
	return body.String()
}
