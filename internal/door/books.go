package door

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	books "github.com/ledgerport/ledgerport/api/books/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/pipeline"
	"github.com/ledgerport/ledgerport/ledger"
	"github.com/ledgerport/ledgerport/texts"
)

const (
	// usualLimit and mostLimit are how many a page has.
	usualLimit, mostLimit = 100, 500
	// longestParameter of a question, in bytes.
	longestParameter = 16 << 10
	// mostLookedAt is how many vouchers are looked at for one page. A search goes on with the next page.
	mostLookedAt = 20_000
	// largestPage is how much text a page has, in bytes: it ends with what goes beyond.
	largestPage = 1 << 20
	// longestClaim is how much of the id of a claim is told, in bytes.
	longestClaim = 1024
)

// parameters of a question about a list.
type parameters struct {
	url.Values
	limit int
}

// parameters reads those that may be given. A parameter of nothing that is known is passed over, as the API server does.
func parametersOf(r *asked) (parameters, error) {
	p := parameters{r.URL.Query(), usualLimit}
	for name, values := range p.Values {
		if len(values) > 1 || len(values[0]) > longestParameter || !plain(values[0]) {
			return p, refused(http.StatusBadRequest, metav1.StatusReasonBadRequest, "the parameter %.100q is given more than once, too long, or has a control character", name)
		}
	}
	if text := p.Get("limit"); text != "" {
		limit, err := strconv.Atoi(text)
		if err != nil || limit < 1 {
			return p, refused(http.StatusBadRequest, metav1.StatusReasonBadRequest, "the parameter limit is not a number from 1 to %d", mostLimit)
		}
		p.limit = min(limit, mostLimit)
	}
	return p, nil
}

// plain reports whether a database takes a text.
func plain(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// next decodes where the page before ended. It is believed no more than the rest of a question.
func (p parameters) next(into any) error {
	text := p.Get("continue")
	if text == "" {
		return nil
	}
	content, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(content, into)
	}
	if err != nil {
		return refused(http.StatusBadRequest, metav1.StatusReasonBadRequest, "the parameter continue is not one that a page has given")
	}
	return nil
}

// goOn encodes where a page ended.
func goOn(place any) string {
	content, _ := json.Marshal(place) // of numbers and texts
	return base64.RawURLEncoding.EncodeToString(content)
}

// vouchers lists those of a run.
func (h *hall) vouchers(ctx context.Context, r *asked) (any, error) {
	p, err := parametersOf(r)
	if err != nil {
		return nil, err
	}
	var from pipeline.VoucherPlace
	if err := p.next(&from); err != nil {
		return nil, err
	}
	wanted, err := searchOf(p)
	if err != nil {
		return nil, err
	}
	reading, err := h.run(ctx, r)
	if err != nil {
		return nil, err
	}
	defer reading.Close()
	list, looked, size := &books.VoucherList{TypeMeta: kind("VoucherList"), Items: []books.Voucher{}}, 0, 0
	next, more, err := reading.Vouchers(ctx, pipeline.VoucherPlace{Block: max(0, from.Block), Before: max(0, from.Before)}, func(voucher *ledger.Voucher) bool {
		looked++
		if wanted.has(voucher) {
			told := described(voucher)
			size += len(told.Claim) + len(told.Number) + len(told.Reverses)
			list.Items = append(list.Items, told)
		}
		return len(list.Items) < p.limit && looked < mostLookedAt && size < largestPage
	})
	if err != nil {
		return nil, err
	}
	if more {
		list.Continue = goOn(next)
	}
	return list, nil
}

// search narrows vouchers; what is empty is not looked at.
type search struct{ number, claim, amount string }

func searchOf(p parameters) (search, error) {
	s := search{p.Get("number"), p.Get("claim"), p.Get("amount")}
	if s.amount != "" {
		plain, is := plainAmount(s.amount)
		if !is {
			return s, refused(http.StatusBadRequest, metav1.StatusReasonBadRequest, "the parameter amount is not a decimal number such as 1234.50")
		}
		s.amount = plain
	}
	return s, nil
}

// has reports whether a voucher is one that is looked for. An amount is that of the voucher or of one of its postings, in either currency.
func (s search) has(voucher *ledger.Voucher) bool {
	if s.claim != "" && s.claim != voucher.ClaimID && s.claim != texts.Printable(voucher.ClaimID, longestClaim) || s.number != "" && s.number != voucher.ID() {
		return false
	}
	if s.amount == "" {
		return true
	}
	same := func(amount ledger.Amount, currency ledger.Currency) bool {
		plain, is := plainAmount(strings.TrimPrefix(amount.Decimal(currency), "-"))
		return is && plain == s.amount
	}
	amount, base := debit(voucher)
	if same(amount, voucher.Currency) || same(base, voucher.BaseCurrency) {
		return true
	}
	for i := range voucher.Postings {
		posting := &voucher.Postings[i]
		if same(posting.Amount, voucher.Currency) || same(posting.BaseAmount, voucher.BaseCurrency) {
			return true
		}
	}
	return false
}

// plainAmount is a decimal number without what does not count: the same number has one form.
func plainAmount(text string) (string, bool) {
	whole, fraction, _ := strings.Cut(text, ".")
	if len(text) > 30 || whole == "" || strings.Trim(whole, "0123456789") != "" || strings.Trim(fraction, "0123456789") != "" {
		return "", false
	}
	return strings.TrimLeft(whole, "0") + "." + strings.TrimRight(fraction, "0"), true
}

// debit of a voucher, in its currency and that of the books. What does not fit is what it would be: such a voucher is none of ours.
func debit(voucher *ledger.Voucher) (amount, base ledger.Amount) {
	for i := range voucher.Postings {
		amount += max(0, voucher.Postings[i].Amount)
		base += max(0, voucher.Postings[i].BaseAmount)
	}
	return amount, base
}

// described is what is told of a voucher: neither who was paid, nor where, nor what for.
func described(voucher *ledger.Voucher) books.Voucher {
	amount, base := debit(voucher)
	told := books.Voucher{
		Number: texts.Printable(voucher.ID(), texts.Quote), Claim: texts.Printable(voucher.ClaimID, longestClaim), Reverses: texts.Printable(voucher.Reverses, texts.Quote),
		Amount: amount.Decimal(voucher.Currency), Currency: voucher.Currency.Code(),
		BaseAmount: base.Decimal(voucher.BaseCurrency), BaseCurrency: voucher.BaseCurrency.Code(),
	}
	if sane(voucher.PostingDate) {
		told.Date = voucher.PostingDate.Format("2006-01-02")
	}
	return told
}

// heldClaims lists those of an export.
func (h *hall) heldClaims(ctx context.Context, r *asked) (any, error) {
	p, err := parametersOf(r)
	if err != nil {
		return nil, err
	}
	query := claims.HeldQuery{Reason: p.Get("reason"), Claim: p.Get("claim"), Limit: p.limit + 1}
	if err := p.next(&query.After); err != nil {
		return nil, err
	}
	if strings.Contains(query.After.Claim, "\x00") {
		return nil, refused(http.StatusBadRequest, metav1.StatusReasonBadRequest, "the parameter continue is not one that a page has given")
	}
	held, err := h.Pipeline.ReadHeld(ctx, r.Namespace, r.Name, query)
	if err != nil {
		return nil, h.unheard(ctx, types.NamespacedName{Namespace: r.Namespace, Name: r.Name}, err)
	}
	list := &books.HeldClaimList{TypeMeta: kind("HeldClaimList"), Items: []books.HeldClaim{}}
	for _, group := range held.Reasons {
		list.Groups = append(list.Groups, books.HeldGroup{Reason: group.Reason, Claims: group.Claims, Since: metav1.Time{Time: group.Since}})
	}
	size := 0
	for i, claim := range held.Claims {
		if i == p.limit || size > largestPage { // it is of the next page
			list.Continue = goOn(held.Claims[i-1].Place)
			break
		}
		size += len(claim.Place.Claim) + len(claim.Message)
		list.Items = append(list.Items, books.HeldClaim{
			Claim: texts.Printable(claim.Place.Claim, longestClaim), Reason: claim.Reason, Message: claim.Message, Since: metav1.Time{Time: claim.Since}, Run: claim.Run,
		})
	}
	return list, nil
}

// claim says what became of one claim of an export.
func (h *hall) claim(ctx context.Context, r *asked) (any, error) {
	p, err := parametersOf(r)
	if err != nil {
		return nil, err
	}
	id := p.Get("claim")
	if id == "" || len(id) > longestClaim {
		return nil, refused(http.StatusBadRequest, metav1.StatusReasonBadRequest, "the parameter claim is the id of a claim, of at most %d bytes", longestClaim)
	}
	found, err := h.Pipeline.ReadClaim(ctx, r.Namespace, r.Name, id)
	if err != nil {
		return nil, h.unheard(ctx, types.NamespacedName{Namespace: r.Namespace, Name: r.Name}, err)
	}
	list := &books.ClaimStatusList{TypeMeta: kind("ClaimStatusList"), Items: []books.ClaimStatus{}}
	for _, one := range found {
		told := books.ClaimStatus{
			Claim: texts.Printable(id, longestClaim), Book: one.Book, State: one.State, Vouchers: one.Vouchers, Run: one.Run, Location: one.Location,
			Reference: one.Reference, Reason: one.Reason, Message: one.Message,
		}
		if one.Since != nil {
			told.Since = &metav1.Time{Time: *one.Since}
		}
		list.Items = append(list.Items, told)
	}
	return list, nil
}
