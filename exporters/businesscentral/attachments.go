package businesscentral

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/ledgerport/ledgerport/exporters"
)

// attachment is the resource of this name: a file of an incoming document, which belongs to a line of a journal or, once that is posted, to
// the ledger entries of its document number and posting date.
type attachment struct {
	ID         string `json:"id,omitempty"`
	ParentID   string `json:"parentId"`
	ParentType string `json:"parentType"`
	FileName   string `json:"fileName"`
	ByteSize   int64  `json:"byteSize,omitempty"`
}

// parentJournal is the type of the parent of an attachment that is a line of a journal, or a ledger entry.
const parentJournal = "Journal"

// attempts is how often in a row nothing is attached: the journal may be posted in the meantime, and an answer may be lost.
const attempts = 3

// Attach implements exporters.Attacher. Each attempt looks where the vouchers are and what is attached to them.
func (s *session) Attach(ctx context.Context, receipts []exporters.Attachment) error {
	for failed := 0; len(receipts) > 0; {
		done, err := s.attach(ctx, receipts[:min(len(receipts), lookups)])
		if receipts = receipts[done:]; done > 0 {
			failed = 0
		}
		var system *exporters.SystemError
		failed++
		switch {
		case err == nil:
		case !errors.As(err, &system) || system.Problem != exporters.Refused && system.Problem != exporters.OutcomeUnknown || failed == attempts:
			return err
		}
	}
	return nil
}

// attach attaches receipts in order, and returns how many the system has.
func (s *session) attach(ctx context.Context, receipts []exporters.Attachment) (done int, err error) {
	parents, err := s.parents(ctx, receipts)
	if err != nil {
		return 0, err
	}
	there, err := s.attached(ctx, parents)
	if err != nil {
		return 0, err
	}
	for i := range receipts {
		voucher := receipts[i].Voucher.Voucher
		if err := s.attachOne(ctx, &receipts[i], parents[voucher], there[voucher]); err != nil {
			return i, err
		}
	}
	return len(receipts), nil
}

// attachOne attaches a receipt to a line or an entry at which some attachments are.
func (s *session) attachOne(ctx context.Context, receipt *exporters.Attachment, parent string, there []attachment) (err error) {
	made := best(there, receipt)
	if made.ID == "" {
		if made, err = s.createAttachment(ctx, receipt, parent); err != nil {
			return err
		}
	}
	if made.ByteSize == receipt.Size {
		return nil
	}
	return s.upload(ctx, receipt, made.ID)
}

// best is the attachment of a receipt's name, with its size if there is one of that; empty if there is none of the name.
func best(there []attachment, receipt *exporters.Attachment) (found attachment) {
	for _, other := range there {
		if other.FileName == receipt.Name && guid.MatchString(other.ID) && (found.ID == "" || other.ByteSize == receipt.Size) {
			found = other
		}
	}
	return found
}

// parents are the lines or entries that the receipts of vouchers are attached to: the first of each, by which all of its voucher show
// them once they are posted.
func (s *session) parents(ctx context.Context, receipts []exporters.Attachment) (map[string]string, error) {
	if _, err := s.findJournal(ctx); err != nil {
		return nil, err
	}
	var vouchers []exporters.Request
	for i := range receipts {
		if voucher := receipts[i].Voucher; !slices.ContainsFunc(vouchers, func(v exporters.Request) bool { return v.Voucher == voucher.Voucher }) {
			vouchers = append(vouchers, voucher)
		}
	}
	places, err := s.lookUp(ctx, vouchers)
	if err != nil {
		return nil, err
	}
	parents := map[string]string{}
	for i, at := range places {
		if !guid.MatchString(at.id) {
			return nil, &exporters.SystemError{Problem: exporters.Refused, Message: fmt.Sprintf(
				"Business Central has neither lines in journal %s nor ledger entries of voucher %s of claim %s, to which receipts are to be attached: were they deleted?",
				s.code, vouchers[i].Voucher, vouchers[i].ClaimID)}
		}
		parents[vouchers[i].Voucher] = at.id
	}
	return parents, nil
}

// attached returns what is attached to vouchers.
func (s *session) attached(ctx context.Context, parents map[string]string) (map[string][]attachment, error) {
	var vouchers []string
	var operations []operation
	for voucher, parent := range parents {
		operations = append(operations, operation{
			ID: strconv.Itoa(len(operations)), Method: http.MethodGet,
			URL: s.company() + "/attachments?$filter=" + url.PathEscape("parentId eq "+parent+" and parentType eq '"+parentJournal+"'"),
		})
		vouchers = append(vouchers, voucher)
	}
	answers, err := s.batch(ctx, http.MethodGet, operations, http.Header{"Prefer": {"odata.continue-on-error"}})
	if err != nil {
		return nil, err
	}
	there := map[string][]attachment{}
	for i, got := range answers {
		var page struct {
			Value []attachment `json:"value"`
		}
		if got.Status != http.StatusOK {
			return nil, s.refused("to show what is attached to voucher "+vouchers[i], got)
		}
		if err := json.Unmarshal(got.Body, &page); err != nil {
			return nil, &exporters.SystemError{Problem: exporters.Unreachable, Message: "Business Central did not answer in the way of its API; see baseURL", Cause: err}
		}
		there[vouchers[i]] = page.Value
	}
	return there, nil
}

// createAttachment makes the attachment of a receipt, without its content. Business Central makes one that belongs to nothing where its
// parent is gone, as a line is when its journal is posted: that one is taken away again.
func (s *session) createAttachment(ctx context.Context, receipt *exporters.Attachment, parent string) (made attachment, err error) {
	body, err := json.Marshal(attachment{ParentID: parent, ParentType: parentJournal, FileName: receipt.Name})
	if err != nil {
		return made, fmt.Errorf("encoding an attachment: %w", err)
	}
	got, err := s.client.exchange(ctx, http.MethodPost, s.company()+"/attachments", body, nil)
	if err != nil {
		return made, err
	}
	if got.Status != http.StatusCreated {
		return made, s.refused("to attach "+of(receipt), got)
	}
	if err := json.Unmarshal(got.Body, &made); err != nil || !guid.MatchString(made.ID) {
		return made, &exporters.SystemError{Problem: exporters.Unreachable, Message: "Business Central did not answer in the way of its API: the id of an attachment is none; see baseURL", Cause: err}
	}
	if strings.EqualFold(made.ParentID, parent) {
		return made, nil
	}
	got, err = s.client.exchange(ctx, http.MethodDelete, s.attachmentPath(made.ID), nil, http.Header{"If-Match": {"*"}})
	if err == nil && got.Status >= http.StatusBadRequest && got.Status != http.StatusNotFound {
		err = s.refused("to delete an attachment without a parent, made for "+of(receipt), got)
	}
	if err == nil {
		err = &exporters.SystemError{Problem: exporters.Refused, Message: "Business Central has no line or ledger entry any more to which it could attach " + of(receipt)}
	}
	return made, err
}

// upload gives an attachment its content.
func (s *session) upload(ctx context.Context, receipt *exporters.Attachment, id string) error {
	got, err := s.client.send(ctx, http.MethodPatch, s.attachmentPath(id)+"/attachmentContent",
		content{"application/octet-stream", receipt.Size, receipt.Content}, http.Header{"If-Match": {"*"}})
	if err == nil && got.Status >= http.StatusBadRequest {
		err = s.refused("the content of "+of(receipt), got)
	}
	return err
}

func (s *session) attachmentPath(id string) string { return s.company() + "/attachments(" + id + ")" }

// of names a receipt, its voucher and its claim.
func of(receipt *exporters.Attachment) string {
	return fmt.Sprintf("receipt %s of voucher %s of claim %s", receipt.Name, receipt.Voucher.Voucher, receipt.Voucher.ClaimID)
}
