package command

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/internal/claims"
)

func TestWhatIsRecordedIsFoundWithoutItsExportRun(t *testing.T) {
	t.Parallel()
	b := bindClaims(t)
	const location = "file:///exports/acme/monthly/first/first.csv"
	if _, err := ofLedger(t, b.url, "commit", "--run", "gone", "--location", location); err != nil {
		t.Fatal(err)
	}
	find := func(arguments ...string) (found struct{ Items []claims.RecordedVoucher }) {
		t.Helper()
		said, err := ofLedger(t, b.url, append([]string{"find", "-o", "json", "--organization", boundOrganization}, arguments...)...)
		must(t, err)
		must(t, json.Unmarshal([]byte(said), &found))
		return found
	}
	all := find("--run", "acme/first").Items
	if len(all) != 3 || all[0].Voucher != "E/2026/1" || all[2].Voucher != "E/2026/3" || all[1].Locations[0] != location || all[1].CommittedAt == nil || all[1].State != "committed" {
		t.Fatalf("of the run is found %+v", all)
	}
	if by := find("E/2026/2").Items; len(by) != 1 || by[0].Claim != all[1].Claim {
		t.Errorf("by its number is found %+v", by)
	}
	if by := find(all[2].Claim).Items; len(by) != 1 || by[0].Voucher != "E/2026/3" {
		t.Errorf("by its claim is found %+v", by)
	}
	for _, none := range [][]string{{"E/2026/4"}, {"nobody's claim"}, {"--reference", "4711"}, {"--run", "nordwind/first"}} {
		if by := find(none...).Items; len(by) != 0 {
			t.Errorf("%q finds %+v", none, by)
		}
	}
	if other, err := ofLedger(t, b.url, "find", "--organization", "another", "E/2026/2"); err != nil || !strings.Contains(other, "nothing is recorded") {
		t.Errorf("another organisation has %q, %v", other, err)
	}
	if said, err := ofLedger(t, b.url, "find", "--organization", boundOrganization, "E/2026/2"); err != nil || !strings.Contains(said, location) || !strings.Contains(said, "acme/first") {
		t.Errorf("a person reads %q, %v", said, err)
	}
	for _, wrong := range [][]string{nil, {"--run", "first"}} {
		if _, err := ofLedger(t, b.url, append([]string{"find", "--organization", boundOrganization}, wrong...)...); err == nil {
			t.Errorf("%q was looked for", wrong)
		}
	}
}

func TestHeldClaimsAreListedFromTheLedger(t *testing.T) {
	t.Parallel()
	b := bindClaims(t)
	if said, err := ofLedger(t, b.url, "held", "--organization", boundOrganization); err != nil || !strings.Contains(said, "no claim is held") {
		t.Errorf("before, it says %q, %v", said, err)
	}
	_, err := b.conn.Exec(t.Context(), `insert into ledgerport.held_claims (organization_id, claim_table, claim_id, run_id, reason, message)
		select $1, id, 'a claim', 'gone', 'Unmapped', E'add \x1b[2J a rule' from ledgerport.claim_tables limit 1`, boundOrganization)
	must(t, err)
	said, err := ofLedger(t, b.url, "held", "--organization", boundOrganization)
	if err != nil || !strings.Contains(said, "a claim") || !strings.Contains(said, `add \x1b[2J a rule`) || !strings.Contains(said, "acme/first") {
		t.Errorf("it says %q, %v", said, err)
	}
	if said, err := ofLedger(t, b.url, "held", "-o", "yaml", "--organization", "another"); err != nil || strings.Contains(said, "Unmapped") {
		t.Errorf("another organisation has %q, %v", said, err)
	}
}

func TestMissingVoucherNumbersAreCounted(t *testing.T) {
	t.Parallel()
	b := bindClaims(t)
	numbers := func() (found struct{ Items []claims.Numbering }, err error) {
		said, err := ofLedger(t, b.url, "numbers", "-o", "json", "--organization", boundOrganization)
		if failed := json.Unmarshal([]byte(said), &found); failed != nil {
			t.Fatalf("%q: %v", said, failed)
		}
		return found, err
	}
	whole, err := numbers()
	if want := (claims.Numbering{Book: "main", Series: "E", FiscalYear: 2026, First: 1, Last: 3, Vouchers: 3}); err != nil || len(whole.Items) != 1 || whole.Items[0] != want {
		t.Errorf("of three vouchers is counted %+v, %v", whole, err)
	}
	void := `insert into ledgerport.voided_vouchers (organization_id, book, series, fiscal_year, first, last, run_id, reason) values ($1, 'main', 'E', 2026, $2, $3, 'gone', 'Released')`
	_, err = b.conn.Exec(t.Context(), void, boundOrganization, 4, 6)
	must(t, err)
	if whole, err = numbers(); err != nil || whole.Items[0].Void != 3 || whole.Items[0].Last != 6 {
		t.Errorf("with numbers that are void is counted %+v, %v", whole, err)
	}
	_, err = b.conn.Exec(t.Context(), void, boundOrganization, 9, 9)
	must(t, err)
	if whole, err = numbers(); err == nil || whole.Items[0].Missing != 2 {
		t.Errorf("without two numbers is counted %+v, %v", whole, err)
	}
	if said, err := ofLedger(t, b.url, "numbers", "--organization", "another"); err != nil || !strings.Contains(said, "no voucher number") {
		t.Errorf("another organisation has %q, %v", said, err)
	}
}

func TestTheLedgerIsShownToPrograms(t *testing.T) {
	t.Parallel()
	b := bindClaims(t)
	said, err := ofLedger(t, b.url, "show", "-o", "json")
	must(t, err)
	var shown ledgerShown
	must(t, json.Unmarshal([]byte(said), &shown))
	if len(shown.Runs) != 1 || shown.Runs[0].ID != "gone" || shown.Runs[0].State != "rendered" || shown.ID == "" {
		t.Errorf("it is %+v", shown)
	}
}
