package businesscentral

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/cockroachdb/apd/v3"
)

// line is the resource journalLine, as far as a client may set it.
type line struct {
	id                     string
	LineNumber             int         `json:"lineNumber"`
	AccountType            string      `json:"accountType"`
	AccountNumber          string      `json:"accountNumber"`
	PostingDate            string      `json:"postingDate"`
	DocumentNumber         string      `json:"documentNumber"`
	ExternalDocumentNumber string      `json:"externalDocumentNumber"`
	Amount                 json.Number `json:"amount"`
	Description            string      `json:"description"`
	Comment                string      `json:"comment"`
	TaxCode                string      `json:"taxCode"`
	DimensionSetLines      []Dimension `json:"dimensionSetLines"`
	amount                 apd.Decimal
	incoming               int // number of its incoming document; 0 is none
}

func (l line) entry() Entry {
	return Entry{
		PostingDate: l.PostingDate, Document: l.DocumentNumber, AccountType: l.AccountType, Account: l.AccountNumber,
		Amount: l.amount, Description: l.Description, Dimensions: l.DimensionSetLines,
	}
}

func (j *journal) numbers() []int { return slices.Sorted(maps.Keys(j.lines)) }

var (
	journalsPath = regexp.MustCompile(`^companies\(([^)]*)\)/journals$`)
	linesPath    = regexp.MustCompile(`^companies\(([^)]*)\)/journals\(([^)]*)\)/journalLines$`)
	postPath     = regexp.MustCompile(`^companies\(([^)]*)\)/journals\(([^)]*)\)/Microsoft\.NAV\.post$`)
	entriesPath  = regexp.MustCompile(`^companies\(([^)]*)\)/generalLedgerEntries$`)
	equals       = regexp.MustCompile(`^(\w+) eq '((?:[^']|'')*)'$`)
)

// execute is one request, or one operation of a batch.
func (s *Server) execute(method, target string, body json.RawMessage) response {
	path, query, _ := strings.Cut(target, "?")
	parameters, err := url.ParseQuery(query)
	if err != nil {
		return refusal(http.StatusBadRequest, "BadRequest", "Bad Request - Error in query syntax")
	}
	if !strings.HasPrefix(path, "companies("+Company+")") {
		return refusal(http.StatusNotFound, "Internal_CompanyNotFound", "Cannot find company")
	}
	j, found := (*journal)(nil), true
	for _, pattern := range []*regexp.Regexp{linesPath, postPath} {
		if match := pattern.FindStringSubmatch(path); match != nil {
			j, found = s.journals[match[2]]
		}
	}
	switch {
	case !found:
		return refusal(http.StatusNotFound, "Internal_RecordNotFound", "The Gen. Journal Batch does not exist.")
	case method == http.MethodGet && journalsPath.MatchString(path):
		return s.listJournals(parameters)
	case method == http.MethodPost && journalsPath.MatchString(path):
		return s.createJournal(body)
	case method == http.MethodGet && linesPath.MatchString(path):
		return listLines(j, parameters)
	case method == http.MethodPost && linesPath.MatchString(path):
		return s.createLine(j, body)
	case method == http.MethodPost && postPath.MatchString(path) && len(body) == 0:
		return s.post(j)
	case method == http.MethodGet && attachmentsPath.MatchString(path):
		return s.listAttachments(parameters)
	case method == http.MethodGet && entriesPath.MatchString(path):
		return s.listEntries(parameters)
	}
	return refusal(http.StatusNotFound, "BadRequest_ResourceNotFound", "Resource not found for the segment")
}

// filter returns the value that a field must have; the server knows no other filter.
func filter(parameters url.Values, field string) (string, bool) {
	match := equals.FindStringSubmatch(parameters.Get("$filter"))
	if len(match) != 3 || match[1] != field {
		return "", false
	}
	return strings.ReplaceAll(match[2], "''", "'"), true
}

func page(values []any) response {
	return response{Status: http.StatusOK, Headers: map[string]string{}, Body: map[string]any{"value": values}}
}

func (s *Server) listJournals(parameters url.Values) response {
	code, ok := filter(parameters, "code")
	if !ok {
		return refusal(http.StatusBadRequest, "BadRequest", "this server filters journals by their code")
	}
	values := []any{}
	for _, j := range s.journals {
		if j.code == code {
			values = append(values, map[string]string{"id": j.id, "code": j.code})
		}
	}
	return page(values)
}

func (s *Server) createJournal(body json.RawMessage) response {
	var wanted struct {
		Code        string `json:"code"`
		DisplayName string `json:"displayName"`
	}
	if !strictly(body, &wanted) || wanted.Code == "" || units(wanted.Code) > 10 || wanted.Code != strings.ToUpper(wanted.Code) || units(wanted.DisplayName) > 50 {
		return refusal(http.StatusBadRequest, "Application_StringExceededLength", "The code or displayName is not valid.")
	}
	for _, j := range s.journals {
		if j.code == wanted.Code {
			return refusal(http.StatusBadRequest, "Internal_EntityWithSameKeyExists", "The record in table Gen. Journal Batch already exists.")
		}
	}
	j := &journal{id: newID(), code: wanted.Code, name: wanted.DisplayName, lines: map[int]line{}}
	s.journals[j.id] = j
	return response{Status: http.StatusCreated, Headers: map[string]string{}, Body: map[string]string{"id": j.id, "code": j.code, "displayName": j.name}}
}

// listLines shows lines on G/L accounts and bank accounts only, as the API does.
func listLines(j *journal, parameters url.Values) response {
	document, ok := filter(parameters, "documentNumber")
	if !ok {
		return refusal(http.StatusBadRequest, "BadRequest", "this server filters lines by their documentNumber")
	}
	values := []any{}
	for _, number := range j.numbers() {
		if l := j.lines[number]; l.DocumentNumber == document && l.AccountType == "G/L Account" {
			values = append(values, map[string]any{"id": l.id, "lineNumber": number})
		}
	}
	return page(top(values, parameters))
}

func (s *Server) listEntries(parameters url.Values) response {
	document, ok := filter(parameters, "documentNumber")
	if !ok {
		return refusal(http.StatusBadRequest, "BadRequest", "this server filters entries by their documentNumber")
	}
	values := []any{}
	for _, e := range s.entries {
		if e.Document == document {
			values = append(values, map[string]any{"id": e.id, "entryNumber": e.Number})
		}
	}
	return page(top(values, parameters))
}

func top(values []any, parameters url.Values) []any {
	if most := int(atoi(parameters.Get("$top"))); most > 0 && len(values) > most {
		return values[:most]
	}
	return values
}

// createLine refuses what the tables of the base application refuse. A line number is there once in a journal.
func (s *Server) createLine(j *journal, body json.RawMessage) response {
	l := line{id: newID()}
	if !strictly(body, &l) {
		return refusal(http.StatusBadRequest, "BadRequest", "The request has a property that journalLine does not have.")
	}
	for field, limit := range map[string]struct {
		text string
		most int
	}{
		"accountNumber": {l.AccountNumber, 20}, "documentNumber": {l.DocumentNumber, 20}, "externalDocumentNumber": {l.ExternalDocumentNumber, 35},
		"description": {l.Description, 100}, "comment": {l.Comment, 250},
	} {
		if units(limit.text) > limit.most {
			return refusal(http.StatusBadRequest, "Application_StringExceededLength",
				fmt.Sprintf("The length of the string is %d, but it must be less than or equal to %d characters. Field: %s", units(limit.text), limit.most, field))
		}
	}
	if _, exists := j.lines[l.LineNumber]; exists {
		return refusal(http.StatusBadRequest, "Internal_EntityWithSameKeyExists", "The record in table Gen. Journal Line already exists.")
	}
	if _, err := time.Parse(time.DateOnly, l.PostingDate); err != nil || l.DocumentNumber == "" || l.LineNumber <= 0 {
		return refusal(http.StatusBadRequest, "BadRequest", "postingDate, documentNumber or lineNumber is not valid.")
	}
	if _, _, err := l.amount.SetString(l.Amount.String()); err != nil {
		return refusal(http.StatusBadRequest, "BadRequest", "amount is not a decimal.")
	}
	switch l.AccountType {
	case "G/L Account":
		if s.settings.Accounts != nil && !slices.Contains(s.settings.Accounts, l.AccountNumber) {
			return refusal(http.StatusBadRequest, "Application_DialogException", `The "accountNumber" does not match to an Account.`)
		}
	case "Employee", "Vendor":
	default:
		return refusal(http.StatusBadRequest, "BadRequest", "accountType is not valid.")
	}
	for i, dimension := range l.DimensionSetLines {
		again := slices.ContainsFunc(l.DimensionSetLines[:i], func(d Dimension) bool { return d.Code == dimension.Code })
		if dimension.Code == "" || units(dimension.Code) > 20 || dimension.ValueCode == "" || units(dimension.ValueCode) > 20 || again {
			return refusal(http.StatusBadRequest, "Application_DialogException", `The "valueCode" does not match to a Dimension Value.`)
		}
	}
	j.lines[l.LineNumber] = l
	return response{Status: http.StatusCreated, Headers: map[string]string{}, Body: map[string]any{"id": l.id, "lineNumber": l.LineNumber}}
}

// post posts the whole journal or nothing of it: every document must balance on every day, no line may be of nothing.
func (s *Server) post(j *journal) response {
	if len(j.lines) == 0 {
		return refusal(http.StatusBadRequest, "Application_DialogException", "There is nothing to post.")
	}
	sums := map[string]*apd.Decimal{}
	for _, number := range j.numbers() {
		l := j.lines[number]
		if l.PostingDate < s.settings.PostingFrom {
			return refusal(http.StatusBadRequest, "Application_DialogException", "Posting Date is not within your range of allowed posting dates in Gen. Journal Line Document No.="+l.DocumentNumber)
		}
		if l.amount.IsZero() {
			return refusal(http.StatusBadRequest, "Application_DialogException", "Amount must have a value in Gen. Journal Line")
		}
		sum, ok := sums[l.DocumentNumber+l.PostingDate]
		if !ok {
			sum = new(apd.Decimal)
			sums[l.DocumentNumber+l.PostingDate] = sum
		}
		if _, err := apd.BaseContext.WithPrecision(50).Add(sum, sum, &l.amount); err != nil {
			return refusal(http.StatusBadRequest, "Application_DialogException", err.Error())
		}
	}
	for document, sum := range sums {
		if !sum.IsZero() {
			return refusal(http.StatusBadRequest, "Application_DialogException", "Document No. "+document+" is out of balance by "+sum.String())
		}
	}
	for _, number := range j.numbers() {
		entry := j.lines[number].entry()
		entry.Number, entry.id = int64(len(s.entries))+1, newID()
		if of := j.lines[number].incoming; of > 0 {
			s.incoming[of-1].document, s.incoming[of-1].date = entry.Document, entry.PostingDate
		}
		s.entries = append(s.entries, entry)
	}
	clear(j.lines)
	return response{Status: http.StatusNoContent, Headers: map[string]string{}}
}

// strictly decodes an object that has no property but those that are known.
func strictly(body json.RawMessage, into any) bool {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	decoder.UseNumber()
	return decoder.Decode(into) == nil
}

// units counts as Business Central does.
func units(text string) int { return len(utf16.Encode([]rune(text))) }
