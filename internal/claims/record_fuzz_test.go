package claims

import (
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// FuzzRecord finds out that no row of runs or submitted_vouchers that is let through leads out of a run's directory, or moves a cursor.
func FuzzRecord(f *testing.F) {
	hash := strings.Repeat("0", 64)
	f.Add("monthly", "committed", "s3://books/a/b", "E/2026/1", []byte(`[{"name": "a.csv", "mediaType": "text/csv", "size": 1, "sha256": "`+hash+`"}]`), int64(1))
	f.Add("..", "gone", "file:///../x", "\x1b[31m", []byte(`[{"name": "../../x", "sha256": "`+hash+`"}, {"name": "a\u0000b"}]`), int64(-1))
	f.Fuzz(func(t *testing.T, name, state, location, text string, files []byte, number int64) {
		run := Run{
			RunIdentity: RunIdentity{ID: "1", Namespace: name, Export: name, Name: name, OrganizationID: text},
			State:       RunState(state), Type: TypeExport, Attempt: int32(number), Holder: text, Series: text, Location: location,
		}
		run.Claims, run.FirstVoucher, run.LastVoucher = number, text, text
		if (fileList{&run.Files}).Scan(files) != nil || run.validate() != nil {
			return
		}
		names := []string{run.Namespace, run.Export, run.Name}
		for _, file := range run.Files {
			names = append(names, file.Name)
			if file.Size < 0 || len(file.SHA256) != len(hash) {
				t.Errorf("%+v was let through", file)
			}
		}
		for _, name := range names {
			if !filepath.IsLocal(name) || filepath.Base(name) != name {
				t.Errorf("the name %q was let through", name)
			}
		}
		for _, shown := range []string{run.Location, run.FirstVoucher, run.Holder, run.Series} {
			if strings.ContainsFunc(shown, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%q was let through", shown)
			}
		}
		voucher := SubmittedVoucher{Position: number, Number: number, FiscalYear: int(number), State: VoucherState(state), Currency: text, ClaimID: text, Message: text}
		if voucher.validate("1") == nil && (voucher.Number <= 0 || len(voucher.Currency) != 3) {
			t.Errorf("%+v was let through", voucher)
		}
	})
}

// TestADocumentOfFarTooManyValuesIsNotDecoded has documents that are short, and would take a hundred times their length in memory.
func TestADocumentOfFarTooManyValuesIsNotDecoded(t *testing.T) {
	t.Parallel()
	var files []File
	if err := (fileList{&files}).Scan("[0" + strings.Repeat(",0", 100_000) + "]"); err == nil || cap(files) > 0 {
		t.Errorf("%d files were made of what is none (%v)", cap(files), err)
	}
}
