package application

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// Content describes claims to be made. The same content is made from the same values, ids included.
type Content struct {
	OrganizationID string
	// Claims approved, and lines of each: 3 where it is 0.
	Claims, LinesPerClaim int
	Seed                  uint64
	// ApprovedFrom and ApprovedTo bound the approvals. Expenses are up to 20 days older.
	ApprovedFrom, ApprovedTo time.Time
	// Currency of most claims: EUR if it is empty.
	Currency string
	// ForeignEvery makes every n-th claim one in USD, with base amounts of six decimals. 0 makes none.
	ForeignEvery int
	// UnmappedEvery gives every n-th claim a line of the category "gifts", which no sample maps; 0 is for none.
	UnmappedEvery int
	// EveryKind makes also what few charts of accounts have: every third line is paid with a company card unless it is mileage, every seventh is
	// entertainment, every eleventh is software from abroad whose receipt has no tax, and every fifth claim has an advance.
	EveryKind bool
}

// Summary counts what was made.
type Summary struct {
	Claims, Lines, Foreign, Unmapped int
}

// kind of expense: its category, and the tax rate of its receipts in per cent, in Sweden, Norway and elsewhere (Germany).
type kind struct {
	category, description      string
	swedish, norwegian, german int64
	unit                       string
}

var kinds = []kind{
	{"travel", "Train ticket", 6, 12, 7, ""},
	{"hotel", "Hotel, two nights", 12, 12, 7, "night"},
	{"meals", "Lunch with a customer", 12, 25, 19, ""},
	{"office", "Printer paper", 25, 25, 19, "pack"},
	{"mileage", "Own car", 0, 0, 0, "km"},
	{"phone", "Mobile subscription", 25, 25, 19, ""},
}

// Kinds of expenses that only content of every kind has.
var (
	entertainment = kind{"entertainment", "Dinner with a customer", 25, 25, 19, ""}
	software      = kind{"software", "Cloud storage from abroad", 0, 0, 0, "month"}
)

// rate of the receipts where the books are in a currency.
func (k kind) rate(currency string) int64 {
	switch currency {
	case "SEK":
		return k.swedish
	case "NOK":
		return k.norwegian
	}
	return k.german
}

// dollar is what a dollar is worth in a currency, in ten-thousandths.
func dollar(currency string) int64 {
	switch currency {
	case "SEK":
		return 104321
	case "NOK":
		return 107654
	}
	return 9187
}

// Fill puts approved claims of one organisation into the tables, and lets PostgreSQL count them.
func Fill(ctx context.Context, conn *pgx.Conn, content Content) (Summary, error) {
	maker := newMaker(content)
	var claims, lines [][]any
	flush := func() error {
		if _, err := conn.CopyFrom(ctx, pgx.Identifier{"public", "claims"}, claimColumns, pgx.CopyFromRows(claims)); err != nil {
			return fmt.Errorf("filling claims: %w", err)
		}
		if _, err := conn.CopyFrom(ctx, pgx.Identifier{"public", "claim_lines"}, lineColumns, pgx.CopyFromRows(lines)); err != nil {
			return fmt.Errorf("filling claim_lines: %w", err)
		}
		claims, lines = claims[:0], lines[:0]
		return nil
	}
	for i := range content.Claims {
		claim, itsLines := maker.claim(i)
		claims, lines = append(claims, claim), append(lines, itsLines...)
		if len(claims) == 5000 {
			if err := flush(); err != nil {
				return maker.made, err
			}
		}
	}
	if err := flush(); err != nil {
		return maker.made, err
	}
	for _, statement := range []string{"VACUUM ANALYZE public.claims", "VACUUM ANALYZE public.claim_lines"} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return maker.made, err
		}
	}
	return maker.made, nil
}

var (
	claimColumns = []string{"id", "organization_id", "claimant_id", "claimant_name", "claimant_iban", "status", "approved_at", "approved_by", "currency", "description",
		"advance_amount", "base_advance_amount", "claimant_address"}
	lineColumns = []string{"claim_id", "line_no", "expense_date", "category", "description", "gross_amount", "tax_amount", "tax_code",
		"base_gross_amount", "base_tax_amount", "dimensions", "quantity", "unit", "receipt_uri",
		"payment_method", "payment_reference", "merchant", "country", "document_number"}
)

// maker makes claims in a row.
type maker struct {
	Content
	random *rand.Rand
	ids    *rand.ChaCha8
	made   Summary
}

func newMaker(content Content) *maker {
	if content.LinesPerClaim == 0 {
		content.LinesPerClaim = 3
	}
	if content.Currency == "" {
		content.Currency = "EUR"
	}
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], content.Seed)
	return &maker{Content: content, random: rand.New(rand.NewPCG(content.Seed, 1)), ids: rand.NewChaCha8(seed)} // #nosec G404 -- test data
}

func every(n, i int) bool { return n > 0 && i%n == n-1 }

func (m *maker) claim(i int) (claim []any, lines [][]any) {
	id := uuid.Must(uuid.NewRandomFromReader(m.ids)) // the reader never fails
	employee := 1000 + m.random.IntN(400)
	currency := m.Currency
	if every(m.ForeignEvery, i) {
		currency = "USD"
		m.made.Foreign++
	}
	approved := m.ApprovedFrom.Add(time.Duration(m.random.Int64N(int64(m.ApprovedTo.Sub(m.ApprovedFrom))))).Truncate(time.Microsecond)
	claim = []any{
		pgtype.UUID{Bytes: id, Valid: true}, m.OrganizationID, fmt.Sprint(employee), fmt.Sprintf("Employee %d", employee), IBAN(employee),
		"approved", approved, "manager-7", currency, fmt.Sprintf("Expenses of week %d", 1+m.random.IntN(52)),
	}
	claim = append(claim, m.advance(i, currency)...)
	for number := 1; number <= m.LinesPerClaim; number++ {
		lines = append(lines, m.line(id, number, approved, currency, every(m.UnmappedEvery, i) && number == 1))
	}
	m.made.Claims++
	return claim, lines
}

func (m *maker) line(claim uuid.UUID, number int, approved time.Time, currency string, unmapped bool) []any {
	expense := kinds[m.random.IntN(len(kinds))]
	switch ofLine := m.made.Lines; {
	case unmapped:
		expense = kind{"gifts", "Flowers", 25, 25, 19, ""}
		m.made.Unmapped++
	case m.EveryKind && every(7, ofLine):
		expense = entertainment
	case m.EveryKind && every(11, ofLine):
		expense = software
	}
	gross := 500 + m.random.Int64N(200_000) // minor units
	if m.random.IntN(50) == 0 {
		gross = -gross // a refund
	}
	rate := expense.rate(m.Currency)
	tax := included(gross, rate)
	var taxCode, unit, baseGross, baseTax any
	if rate > 0 {
		taxCode = fmt.Sprint(rate)
	}
	if expense.unit != "" {
		unit = expense.unit
	}
	if currency != m.Currency {
		baseGross, baseTax = decimal(gross*dollar(m.Currency), 6), decimal(tax*dollar(m.Currency), 6)
	}
	dimensions, _ := json.Marshal(map[string]string{ // texts can always be written
		"project": fmt.Sprintf("P%d", 1+m.random.IntN(9)), "cost_center": fmt.Sprint(10 * (1 + m.random.IntN(9))),
	})
	date := approved.AddDate(0, 0, -m.random.IntN(20))
	if date.Year() < approved.Year() { // a claim of two fiscal years is held
		date = time.Date(approved.Year(), time.January, 1, 0, 0, 0, 0, time.UTC)
	}
	line := []any{
		pgtype.UUID{Bytes: claim, Valid: true}, number, date, expense.category, expense.description,
		decimal(gross, 2), decimal(tax, 2), taxCode, baseGross, baseTax, dimensions, int64(1 + m.random.IntN(5)), unit,
		fmt.Sprintf("s3://receipts/%s/%d", claim, number),
	}
	line = append(line, m.payment(expense)...)
	m.made.Lines++
	return line
}

// advance returns the advance of a claim, in its currency and in the books', and where the claimant lives.
func (m *maker) advance(claim int, currency string) []any {
	if !m.EveryKind {
		return []any{nil, nil, nil}
	}
	address := []byte(`{"street": "Beispielweg", "building": "7", "post_code": "10115", "town": "Berlin", "country": "DE"}`)
	if !every(5, claim) {
		return []any{nil, nil, address}
	}
	const advance = 10000
	if currency != m.Currency {
		return []any{decimal(advance, 2), decimal(advance*dollar(m.Currency), 6), address}
	}
	return []any{decimal(advance, 2), nil, address}
}

// payment returns how a line was paid, with what, and what its receipt says of itself.
func (m *maker) payment(expense kind) []any {
	if !m.EveryKind {
		return []any{nil, nil, nil, nil, nil}
	}
	country := "DE"
	if expense == software {
		country = "IE"
	}
	number := fmt.Sprintf("R-%d", m.made.Lines+1)
	if every(3, m.made.Lines) && expense.unit != "km" {
		return []any{"company_card", fmt.Sprint(4571_0000 + m.made.Lines%7), "Beispiel & Co", country, number}
	}
	return []any{"private", nil, "Beispiel & Co", country, number}
}

// included is the tax in a gross amount, rounded to the minor unit as on a receipt.
func included(gross, rate int64) int64 {
	if gross < 0 {
		return -included(-gross, rate)
	}
	return (2*gross*rate + 100 + rate) / (2 * (100 + rate))
}

// decimal returns minor units as an exact numeric.
func decimal(minor int64, exponent int32) pgtype.Numeric {
	var n pgtype.Numeric
	_ = n.ScanInt64(pgtype.Int8{Int64: minor, Valid: true}) // a number is always taken
	n.Exp -= exponent
	return n
}

// IBAN returns a German IBAN with right check digits for an employee, at a bank that does not exist.
func IBAN(employee int) string {
	account := fmt.Sprintf("99999999%010d", employee)
	remainder := 0
	for _, digit := range account + "131400" { // D is 13, E is 14, and 00 for the check digits
		remainder = (remainder*10 + int(digit-'0')) % 97
	}
	return fmt.Sprintf("DE%02d%s", 98-remainder, account)
}
