package ledger_test

import (
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/ledger"
)

func TestBoundLeavesOfAReceiptWhatIsOfUse(t *testing.T) {
	t.Parallel()
	hash, long := strings.Repeat("0123456789abcdef", 4), strings.Repeat("x", 60000)
	for name, test := range map[string]struct{ given, want ledger.Receipt }{
		"what is usual": {
			ledger.Receipt{Key: "2026/11/a.pdf", LineNumber: 3, Name: "Taxi.JPG", MediaType: "image/jpeg; a=b", Size: 7, SHA256: hash, File: "E-2026-1-1.jpg"},
			ledger.Receipt{Key: "2026/11/a.pdf", LineNumber: 3, Name: "Taxi.JPG", MediaType: "image/jpeg; a=b", Size: 7, SHA256: hash, File: "E-2026-1-1.jpg"},
		},
		"nothing":                                  {ledger.Receipt{}, ledger.Receipt{}},
		"a long key":                               {ledger.Receipt{Key: "https://a.example/" + strings.Repeat("k", 2048)}, ledger.Receipt{Key: "https://a.example/" + strings.Repeat("k", 2048)}},
		"a key that no store has":                  {ledger.Receipt{Key: long}, ledger.Receipt{}},
		"a long name":                              {ledger.Receipt{Name: long + ".pdf"}, ledger.Receipt{Name: ".pdf"}},
		"a long extension":                         {ledger.Receipt{Name: "." + long}, ledger.Receipt{}},
		"a media type that is none":                {ledger.Receipt{MediaType: "=1+1"}, ledger.Receipt{}},
		"a long media type":                        {ledger.Receipt{MediaType: long}, ledger.Receipt{}},
		"long parameters":                          {ledger.Receipt{MediaType: "application/pdf; name=" + long}, ledger.Receipt{MediaType: "application/pdf"}},
		"parameters that are none":                 {ledger.Receipt{MediaType: "application/pdf; name=a b.pdf"}, ledger.Receipt{MediaType: "application/pdf"}},
		"parameters that are not ASCII":            {ledger.Receipt{MediaType: `application/pdf; name="é.pdf"`}, ledger.Receipt{MediaType: "application/pdf"}},
		"a media type that ends with a line break": {ledger.Receipt{MediaType: "application/pdf\n"}, ledger.Receipt{MediaType: "application/pdf"}},
		"a media type with a line break":           {ledger.Receipt{MediaType: "a\nb"}, ledger.Receipt{}},
		"a media type with a NUL":                  {ledger.Receipt{MediaType: "image/jpeg\x00"}, ledger.Receipt{}},
		"a hash in capitals":                       {ledger.Receipt{SHA256: strings.ToUpper(hash)}, ledger.Receipt{SHA256: ledger.NoSHA256}},
		"a hash that is too short":                 {ledger.Receipt{SHA256: hash[1:]}, ledger.Receipt{SHA256: ledger.NoSHA256}},
		"a hash that is too long":                  {ledger.Receipt{SHA256: long}, ledger.Receipt{SHA256: ledger.NoSHA256}},
	} {
		for range 2 { // the second time it leaves all of it
			test.given.Bound()
			if test.given != test.want {
				t.Errorf("of %s is left %+.200v, want %+v", name, test.given, test.want)
			}
		}
	}
}

func TestManyParametersOfAMediaTypeAreNotRead(t *testing.T) { //nolint:paralleltest // it counts what is allocated
	many := "a/b" + strings.Repeat(";x*1=2", 10_000)
	allocated := testing.AllocsPerRun(10, func() {
		receipt := ledger.Receipt{MediaType: many}
		receipt.Bound()
		if receipt.MediaType != "a/b" {
			t.Errorf("%.200q is left", receipt.MediaType)
		}
	})
	if allocated > 20 {
		t.Errorf("%.0f allocations", allocated)
	}
}
