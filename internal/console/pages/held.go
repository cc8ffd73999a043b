package pages

import (
	"net/http"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/books"
	"github.com/ledgerport/ledgerport/internal/overview"
)

const heldOnPage = 50

// heldView is the content of the page of held claims.
type heldView struct {
	Namespace, Export, Path, ExportPath string
	Groups                              []heldGroup
	Total                               int64
	Reason, Claim                       string
	Rows                                []heldRow
	First, More                         string
	// BadLink says that the export has a link to claims that is not used.
	BadLink string
	HasLink bool
}

type heldGroup struct {
	Reason, Wrong, Do string
	// English says that there is no text in the person's language.
	English bool
	Claims  int64
	Since   *moment
	Path    string
}

type heldRow struct {
	Claim, Link, Reason, Wrong, Do, Message string
	English                                 bool
	Since                                   *moment
	Run                                     *link
}

// held shows the held claims of an export, by reason.
func (v *visit) held() error {
	namespace, name := v.namespace(), v.r.PathValue("export")
	var export v1alpha1.AccountingExport
	if err := v.Get(v.ctx, types.NamespacedName{Namespace: namespace, Name: name}, &export); err != nil {
		return err
	}
	content := &heldView{
		Namespace: namespace, Export: name, Path: exportPath(namespace, name, "held"), ExportPath: exportPath(namespace, name),
		Reason: strings.TrimSpace(v.given.Get("reason")), Claim: strings.TrimSpace(v.given.Get("claim")),
	}
	next := v.given.Get("continue")
	if len(next) > longestContinue {
		return errBadQuestion
	}
	search := books.Search{Reason: content.Reason, Claim: content.Claim, Limit: heldOnPage, Pages: 1, From: next}
	list, err := v.books.Held(v.ctx, types.NamespacedName{Namespace: namespace, Name: name}, search)
	if err != nil {
		return err
	}
	to, err := newClaimLink(export.Annotations[v1alpha1.ClaimURLAnnotation])
	if err != nil {
		content.BadLink = v1alpha1.ClaimURLAnnotation
	}
	zone := zoneNamed(export.Spec.TimeZone)
	content.HasLink = to != claimLink{}
	for _, group := range list.Groups {
		row := v.heldRow("", group.Reason, "")
		content.Groups = append(content.Groups, heldGroup{group.Reason, row.Wrong, row.Do, row.English, group.Claims, v.moment(group.Since.Time, zone), with(content.Path, "reason", group.Reason)})
		content.Total += group.Claims
	}
	for _, claim := range list.Items {
		row := v.heldRow(claim.Claim, claim.Reason, claim.Message)
		row.Link, row.Since = to.of(claim.Claim), v.moment(claim.Since.Time, zone)
		if claim.Run != "" {
			row.Run = &link{claim.Run, runPath(namespace, claim.Run)}
		}
		content.Rows = append(content.Rows, row)
	}
	if next != "" {
		content.First = with(content.Path, "reason", content.Reason, "claim", content.Claim)
	}
	if list.Continue != "" {
		content.More = with(content.Path, "reason", content.Reason, "claim", content.Claim, "continue", list.Continue)
	}
	return v.show(http.StatusOK, "held", shown{Title: v.T("held.title", name), Trail: v.trail(link{namespace, at("namespaces", namespace)}, link{name, content.ExportPath}), Content: content})
}

// heldRow says of a claim what is wrong with it, and what to do. A reason that no text is about is explained in English, as in the docs.
func (v *visit) heldRow(claim, reason, message string) heldRow {
	row := heldRow{Claim: claim, Reason: reason, Message: message}
	if known, is := heldReasons[reason]; is {
		row.Wrong, row.Do = known.Wrong[v.Language], known.Do[v.Language]
		return row
	}
	row.Do, row.English = overview.Remedy("ChartOfAccounts", reason), true
	return row
}
