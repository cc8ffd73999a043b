package businesscentral

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/texts"
)

const (
	// settling is for how long Business Central may be processing a request: it aborts them after 10 minutes.
	settling = 10 * time.Minute
	// exists is the code of the error that a line of this number is in the journal already.
	exists = "Internal_EntityWithSameKeyExists"
	// lookups is the number of vouchers that one $batch request asks for: two operations each.
	lookups = maxOperations / 2
	// References of vouchers that are in the journal, and in the general ledger.
	journalLinePrefix = "journal line "
	ledgerEntryPrefix = "ledger entry "
	// postings is how often the journal is posted where the outcome is unknown.
	postings = 3
)

// Open implements exporters.Submitter.
func (exporter) Open(_ context.Context, batch exporters.Batch) (exporters.Session, error) {
	o, err := decodeOptions(batch.Options)
	if err != nil {
		return nil, err
	}
	if err := o.checkHosts(batch.Credentials); err != nil {
		return nil, err
	}
	return &session{options: o, client: newClient(o, &batch), code: journalCode(batch.RunID), name: texts.CutUTF16("Ledgerport "+batch.Run, 50)}, nil
}

// session has one journal: that of its run.
type session struct {
	options *options
	client  *client
	// code and name of the journal, and its id once it is known.
	code, name, journal string
	posted              bool
}

// journalCode names the journal of a run: ten letters, of which eight are from a hash of its id. It has no digit, because
// Business Central may count up the last number in the code of a journal that is posted.
func journalCode(runID string) string {
	sum := sha256.Sum256([]byte(runID))
	code := []byte("LP")
	for _, b := range sum[:8] {
		code = append(code, 'A'+b%26)
	}
	return string(code)
}

// Terms implements exporters.Session.
func (s *session) Terms() exporters.Terms {
	return exporters.Terms{StopAtRejection: s.options.OnRejection == onRejectionStop, Settling: settling}
}

// Describe implements exporters.Session.
func (s *session) Describe() map[string]string {
	posted := "no"
	if s.posted {
		posted = "yes"
	}
	return map[string]string{"environment": s.options.Environment, "company": s.options.CompanyID, "journal": s.code, "posted": posted}
}

// Fit implements exporters.Session: as many vouchers as have together no more lines than a $batch request has operations.
func (s *session) Fit(requests []exporters.Request) int {
	lines := 0
	for i, request := range requests {
		rendered, err := parse(request)
		if err != nil {
			return max(1, i) // Send says what is wrong
		}
		if lines += len(rendered); lines > maxOperations {
			return max(1, i)
		}
	}
	return len(requests)
}

func parse(request exporters.Request) ([]json.RawMessage, error) {
	var rendered struct {
		Lines []json.RawMessage `json:"lines"`
	}
	if err := json.Unmarshal(request.Body, &rendered); err != nil {
		return nil, fmt.Errorf("the rendered voucher %s cannot be read: %w", request.Voucher, err)
	}
	return rendered.Lines, nil
}

// operation of a $batch request.
type operation struct {
	ID      string            `json:"id"`
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    json.RawMessage   `json:"body,omitempty"`
}

// Send implements exporters.Session. The lines of all vouchers are created together or not at all.
func (s *session) Send(ctx context.Context, requests []exporters.Request) ([]exporters.Answer, error) {
	if err := s.openJournal(ctx); err != nil {
		return nil, err
	}
	var operations []operation
	var voucherOf []int
	for i, request := range requests {
		rendered, err := parse(request)
		if err != nil {
			return nil, err
		}
		for _, line := range rendered {
			operations = append(operations, operation{
				ID: strconv.Itoa(len(operations)), Method: http.MethodPost, URL: s.company() + "/journals(" + s.journal + ")/journalLines",
				Headers: map[string]string{"Content-Type": "application/json"}, Body: line,
			})
			voucherOf = append(voucherOf, i)
		}
	}
	for {
		answers, err := s.batch(ctx, http.MethodPost, operations, http.Header{"Isolation": {"snapshot"}})
		if err != nil {
			return nil, err
		}
		// Business Central stops at an operation that fails.
		failed := slices.IndexFunc(answers, func(got answer) bool { return got.Status >= http.StatusBadRequest })
		if failed >= 0 && throttled(answers[failed]) {
			if err := wait(ctx, answers[failed].Header); err != nil {
				return nil, err
			}
			continue
		}
		if failed >= 0 {
			return s.rejection(answers[failed], len(requests), voucherOf[failed])
		}
		if missing := slices.IndexFunc(answers, func(got answer) bool { return got.Status == 0 }); missing >= 0 {
			return nil, s.client.unanswered(ctx, http.MethodPost, fmt.Errorf("operation %d of %d has no answer", missing, len(operations)))
		}
		return accepted(answers, voucherOf, len(requests)), nil
	}
}

// accepted refers to each voucher by the id of its first line.
func accepted(answers []answer, voucherOf []int, vouchers int) []exporters.Answer {
	verdicts := make([]exporters.Answer, vouchers)
	for i, got := range answers {
		if of := &verdicts[voucherOf[i]]; of.Verdict == exporters.Nothing {
			*of = exporters.Answer{Verdict: exporters.Accepted, Reference: journalLinePrefix + id(got.Body)}
		}
	}
	return verdicts
}

// rejection says what an operation that failed means. None of the others had an effect.
func (s *session) rejection(failed answer, vouchers, voucher int) ([]exporters.Answer, error) {
	code, words := problem(failed.Body)
	switch {
	case code == exists || failed.Status == http.StatusRequestTimeout || failed.Status >= http.StatusInternalServerError:
		return nil, &exporters.SystemError{Problem: exporters.OutcomeUnknown, Message: "Business Central may have a voucher already; the next attempt looks it up"}
	case failed.Status == http.StatusUnauthorized || failed.Status == http.StatusForbidden:
		return nil, refusedCredentials("Business Central does not let the application write journals", failed.Body, nil)
	case failed.Status == http.StatusNotFound:
		return nil, &exporters.SystemError{Problem: exporters.Refused, Message: "Business Central has no journal " + s.code + " any more: " + words}
	}
	verdicts := make([]exporters.Answer, vouchers)
	verdicts[voucher] = exporters.Answer{Verdict: exporters.Rejected, Message: words}
	return verdicts, nil
}

// batch sends operations together, and returns the answer to each: without a status where the operation was not executed.
// Answers may come in any order (OData JSON Format 4.01, 19.4): each names its operation.
func (s *session) batch(ctx context.Context, method string, operations []operation, header http.Header) ([]answer, error) {
	body, err := json.Marshal(map[string]any{"requests": operations})
	if err != nil {
		return nil, fmt.Errorf("encoding a batch: %w", err)
	}
	got, err := s.client.exchange(ctx, http.MethodPost, "$batch", body, header)
	if err != nil {
		return nil, harmless(method, err)
	}
	if got.Status != http.StatusOK {
		return nil, s.refused("a batch", got)
	}
	var batch struct {
		Responses []struct {
			ID      string            `json:"id"`
			Status  int               `json:"status"`
			Headers map[string]string `json:"headers"`
			Body    json.RawMessage   `json:"body"`
		} `json:"responses"`
	}
	if err := json.Unmarshal(got.Body, &batch); err != nil {
		return nil, harmless(method, s.client.unanswered(ctx, http.MethodPost, fmt.Errorf("the answer to a batch cannot be read: %w", err)))
	}
	answers := make([]answer, len(operations))
	for _, response := range batch.Responses {
		of, err := strconv.Atoi(response.ID)
		if err != nil || of < 0 || of >= len(answers) || answers[of].Status != 0 {
			return nil, harmless(method, s.client.unanswered(ctx, http.MethodPost, errors.New("an answer to a batch names no operation of it, or one that has an answer already")))
		}
		answers[of] = answer{Status: response.Status, Header: http.Header{}, Body: response.Body}
		for key, value := range response.Headers {
			answers[of].Header.Set(key, value)
		}
	}
	return answers, nil
}

// harmless says of a batch that only asks that nothing was changed.
func harmless(method string, err error) error {
	var system *exporters.SystemError
	if method == http.MethodGet && errors.As(err, &system) && system.Problem == exporters.OutcomeUnknown {
		return &exporters.SystemError{Problem: exporters.Unreachable, Message: "Business Central cannot be reached, or failed to answer", Cause: system.Cause}
	}
	return err
}

// LookUp implements exporters.Session: a voucher is where its document number is, in the run's journal or, posted, in the
// general ledger.
func (s *session) LookUp(ctx context.Context, requests []exporters.Request) ([]exporters.Answer, error) {
	if _, err := s.findJournal(ctx); err != nil {
		return nil, err
	}
	found := make([]exporters.Answer, 0, len(requests))
	for len(requests) > 0 {
		some := requests[:min(len(requests), lookups)]
		places, err := s.lookUp(ctx, some)
		if err != nil {
			return nil, err
		}
		for _, at := range places {
			answer := exporters.Answer{Reference: at.reference}
			if at.reference != "" {
				answer.Verdict = exporters.Accepted
			}
			found = append(found, answer)
		}
		requests = requests[len(some):]
	}
	return found, nil
}

// lookUp finds the places of at most lookups vouchers.
func (s *session) lookUp(ctx context.Context, requests []exporters.Request) ([]place, error) {
	var operations []operation
	ask := func(collection, parameters string, request exporters.Request) {
		filter := "documentNumber eq '" + strings.ReplaceAll(request.Voucher, "'", "''") + "'"
		operations = append(operations, operation{
			ID: strconv.Itoa(len(operations)), Method: http.MethodGet,
			URL: s.company() + "/" + collection + "?$filter=" + url.PathEscape(filter) + parameters,
		})
	}
	for _, request := range requests {
		ask("generalLedgerEntries", "&$select=id,entryNumber&$orderby=entryNumber&$top=1", request)
		if s.journal != "" {
			ask("journals("+s.journal+")/journalLines", "&$select=id,lineNumber&$orderby=lineNumber&$top=1", request)
		}
	}
	answers, err := s.batch(ctx, http.MethodGet, operations, http.Header{"Prefer": {"odata.continue-on-error"}})
	if err != nil {
		return nil, err
	}
	each := len(operations) / max(1, len(requests))
	found := make([]place, len(requests))
	for i := range operations {
		if answers[i].Status != http.StatusOK {
			return nil, &exporters.SystemError{Problem: exporters.Unreachable, Message: "Business Central does not say which vouchers it has; the application needs to read journals and general ledger entries"}
		}
		if first := firstOf(answers[i].Body, i%each == 0); first.reference != "" {
			found[i/each] = first
		}
	}
	return found, nil
}

// place is where a voucher is: a line of the journal, or a ledger entry. It is empty if the voucher is nowhere.
type place struct{ id, reference string }

// firstOf is the first of what was found.
func firstOf(body json.RawMessage, ledgerEntry bool) place {
	var page struct {
		Value []struct {
			ID          string `json:"id"`
			EntryNumber int64  `json:"entryNumber"`
		} `json:"value"`
	}
	if json.Unmarshal(body, &page) != nil || len(page.Value) == 0 {
		return place{}
	}
	first := page.Value[0]
	if ledgerEntry {
		return place{first.ID, ledgerEntryPrefix + strconv.FormatInt(first.EntryNumber, 10)}
	}
	return place{first.ID, journalLinePrefix + first.ID}
}

// Finish implements exporters.Session: it posts the journal, unless that was done.
func (s *session) Finish(ctx context.Context, last exporters.Request) error {
	if !s.options.Post {
		return nil
	}
	for attempt := 1; ; attempt++ {
		where, err := s.LookUp(ctx, []exporters.Request{last})
		switch {
		case err != nil:
			return err
		case where[0].Verdict == exporters.Nothing:
			return &exporters.SystemError{Problem: exporters.Refused, Message: "Business Central has neither lines in journal " + s.code + " nor ledger entries of voucher " + last.Voucher + ", which it took: were they deleted?"}
		case inLedger(where[0]):
			s.posted = true
			return nil
		}
		got, err := s.client.exchange(ctx, http.MethodPost, s.company()+"/journals("+s.journal+")/Microsoft.NAV.post", nil, nil)
		var system *exporters.SystemError
		if errors.As(err, &system) && system.Problem == exporters.OutcomeUnknown && attempt < postings {
			continue // it is looked up
		}
		if err != nil {
			return err
		}
		if got.Status == http.StatusNoContent {
			s.posted = true
			return nil
		}
		if posted, err := s.LookUp(ctx, []exporters.Request{last}); err != nil || !inLedger(posted[0]) { // or somebody was faster
			return errors.Join(err, s.refused("to post journal "+s.code, got))
		}
	}
}

// inLedger says that a voucher was found, posted.
func inLedger(found exporters.Answer) bool {
	return strings.HasPrefix(found.Reference, ledgerEntryPrefix)
}

// openJournal finds the journal of the run, or creates it.
func (s *session) openJournal(ctx context.Context) error {
	if s.journal != "" {
		return nil
	}
	if found, err := s.findJournal(ctx); found || err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{"code": s.code, "displayName": s.name})
	if err != nil {
		return fmt.Errorf("encoding a journal: %w", err)
	}
	got, err := s.client.exchange(ctx, http.MethodPost, s.company()+"/journals", body, nil)
	if err != nil {
		return err
	}
	if got.Status == http.StatusCreated {
		return s.use(id(got.Body))
	}
	if found, err := s.findJournal(ctx); found || err != nil { // somebody was faster
		return err
	}
	return s.refused("to create journal "+s.code, got)
}

func (s *session) findJournal(ctx context.Context) (bool, error) {
	if s.journal != "" {
		return true, nil
	}
	filter := url.PathEscape("code eq '" + s.code + "'")
	got, err := s.client.exchange(ctx, http.MethodGet, s.company()+"/journals?$filter="+filter+"&$select=id,code", nil, nil)
	if err != nil {
		return false, err
	}
	if got.Status != http.StatusOK {
		return false, s.refused("to show its journals", got)
	}
	var page struct {
		Value []struct {
			ID string `json:"id"`
		} `json:"value"`
	}
	if err := json.Unmarshal(got.Body, &page); err != nil {
		return false, &exporters.SystemError{Problem: exporters.Unreachable, Message: "Business Central did not answer in the way of its API; see baseURL", Cause: err}
	}
	if len(page.Value) == 0 {
		return false, nil
	}
	return true, s.use(page.Value[0].ID)
}

// use has the journal of an id. Each operation of a batch names it, so that a long one would come back a hundred times.
func (s *session) use(id string) error {
	if !guid.MatchString(id) {
		return &exporters.SystemError{Problem: exporters.Unreachable, Message: "Business Central did not answer in the way of its API: the id of a journal is none; see baseURL"}
	}
	s.journal = id
	return nil
}

func (s *session) company() string { return "companies(" + s.options.CompanyID + ")" }

// refused is an answer that ends an attempt, in the system's words.
func (s *session) refused(what string, got answer) error {
	code, words := problem(got.Body)
	if got.Status == http.StatusForbidden {
		return refusedCredentials("Business Central refuses "+what, got.Body, nil)
	}
	if words == "" {
		words = "it names no reason"
	}
	return &exporters.SystemError{Problem: exporters.Refused, Message: fmt.Sprintf("Business Central refuses %s with status %d %s: %s", what, got.Status, code, words)}
}

func id(body json.RawMessage) string {
	var entity struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal(body, &entity) // without an id there is none
	return entity.ID
}
