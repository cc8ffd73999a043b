package businesscentral_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/businesscentral"
	bc "github.com/ledgerport/ledgerport/test/businesscentral"
)

// connected is a session with a system that has one voucher.
func connected(t *testing.T, settings bc.Settings) (*bc.Server, exporters.Attacher) {
	t.Helper()
	server := bc.New(settings)
	t.Cleanup(server.Close)
	session, err := businesscentral.New().Open(t.Context(), exporters.Batch{
		RunID: "r", Run: "monthly-1", HTTPClient: server.Client(),
		Options:     []byte(`{"tenantID":"` + bc.Tenant + `","companyID":"` + bc.Company + `","baseURL":"` + server.BaseURL() + `","tokenURL":"` + server.TokenURL() + `","attachments":true}`),
		Credentials: map[string][]byte{"clientID": []byte(bc.ClientID), "clientSecret": []byte(bc.ClientSecret), "hosts": []byte("127.0.0.1")},
	})
	if err != nil {
		t.Fatal(err)
	}
	line := `{"accountType":"G/L Account","accountNumber":"1","postingDate":"2026-11-03","documentNumber":"E/2026/1","description":"","comment":"",`
	body := `{"lines":[` + line + `"lineNumber":10,"amount":1},` + line + `"lineNumber":20,"amount":-1}]}`
	answers, err := session.Send(t.Context(), []exporters.Request{{Voucher: "E/2026/1", ClaimID: "c-1", Body: []byte(body)}})
	if err != nil || answers[0].Verdict != exporters.Accepted {
		t.Fatal(answers, err)
	}
	attacher, is := session.(exporters.Attacher)
	if !is {
		t.Fatal("the session cannot attach")
	}
	return server, attacher
}

func receiptOf(voucher, name, content string) exporters.Attachment {
	return exporters.Attachment{
		Voucher: exporters.Request{Voucher: voucher, ClaimID: "c-1"}, Name: name, Size: int64(len(content)),
		Content: func() io.Reader { return strings.NewReader(content) },
	}
}

func TestAReceiptIsAttachedOnceHoweverOftenItIsAskedFor(t *testing.T) {
	t.Parallel()
	server, session := connected(t, bc.Settings{})
	attach := func(content string) {
		t.Helper()
		if err := session.Attach(t.Context(), []exporters.Attachment{receiptOf("E/2026/1", "E-2026-1-1.pdf", content), receiptOf("E/2026/1", "E-2026-1-2.txt", "")}); err != nil {
			t.Error(err)
		}
		got := server.Attachments()["E/2026/1"]
		if len(got) != 2 || got[0] != (bc.Attached{Name: "E-2026-1-1.pdf", Content: content}) || got[1].Name != "E-2026-1-2.txt" {
			t.Errorf("attached are %v", got)
		}
	}
	attach("receipt")
	before := server.Requests()
	attach("receipt")
	if looks := server.Requests() - before; looks != 2 {
		t.Errorf("%d requests were made for what is there, want 2", looks)
	}
	attach("another of another size")
	server.PostAll()
	attach("another of another size")
	attach("posted by now")
}

func TestAReceiptOfAVoucherThatIsGoneIsAFailureThatNamesIt(t *testing.T) {
	t.Parallel()
	server, session := connected(t, bc.Settings{})
	var system *exporters.SystemError
	err := session.Attach(t.Context(), []exporters.Attachment{receiptOf("E/2026/2", "E-2026-2-1.pdf", "receipt")})
	if !errors.As(err, &system) || system.Problem != exporters.Refused || !strings.Contains(system.Message, "of voucher E/2026/2 of claim c-1, to which receipts are to be attached") {
		t.Errorf("it ended with %v", err)
	}
	server.Change(bc.Settings{NoAttachments: true})
	err = session.Attach(t.Context(), []exporters.Attachment{receiptOf("E/2026/1", "E-2026-1-1.pdf", "receipt")})
	if !errors.As(err, &system) || !strings.Contains(system.Message, "refuses to attach receipt E-2026-1-1.pdf of voucher E/2026/1 of claim c-1 with status 400") {
		t.Errorf("it ended with %v", err)
	}
}

func TestReceiptsAreAttachedWhereTheOptionsSayIt(t *testing.T) {
	t.Parallel()
	const options = `{"tenantID":"contoso.example","companyID":"5d115c9c-44e3-ea11-bb43-000d3a2feca1"`
	exporter, is := businesscentral.New().(exporters.AttachesReceipts)
	if !is || exporter.AttachesReceipts([]byte(options+`}`)) || !exporter.AttachesReceipts([]byte(options+`,"attachments":true}`)) {
		t.Error("the option attachments has no effect")
	}
}
