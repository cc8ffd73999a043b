package businesscentral_test

import (
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/businesscentral"
)

// TestAJournalOfALongIDIsNotNamedInEachOperation has a server whose one short answer would be a batch of a hundred megabytes.
func TestAJournalOfALongIDIsNotNamedInEachOperation(t *testing.T) {
	t.Parallel()
	for name, id := range map[string]string{"long": strings.Repeat("x", 900<<10), "of another form": "x)/journalLines", "empty": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := &journalServer{id: id}
			session, err := businesscentral.New().Open(t.Context(), exporters.Batch{
				RunID: "r", Run: "monthly-1", HTTPClient: &http.Client{Transport: server},
				Options:     []byte(`{"tenantID":"t","companyID":"5d115c9c-44e3-ea11-bb43-000d3a2feca1"}`),
				Credentials: map[string][]byte{"clientID": []byte("id"), "clientSecret": []byte("hunter2")},
			})
			if err != nil {
				t.Fatal(err)
			}
			requests := make([]exporters.Request, 50)
			for i := range requests {
				requests[i] = exporters.Request{Voucher: "E/2026/1", Body: []byte(`{"lines":[{"amount":1},{"amount":-1}]}`)}
			}
			_, sent := session.Send(t.Context(), requests)
			_, lookedUp := session.LookUp(t.Context(), requests)
			for _, err := range []error{sent, lookedUp} {
				var system *exporters.SystemError
				if !errors.As(err, &system) || system.Problem != exporters.Unreachable || len(system.Message) > 300 {
					t.Errorf("it ended with %.300v", err)
				}
			}
			if server.came > 64<<10 {
				t.Errorf("%d bytes were sent", server.came)
			}
		})
	}
}

// journalServer has a journal of an id, and nothing in it.
type journalServer struct {
	id   string
	came int64
}

// RoundTrip implements http.RoundTripper.
func (s *journalServer) RoundTrip(request *http.Request) (*http.Response, error) {
	status, body := http.StatusOK, `{"responses":[]}`
	switch path := request.URL.Path; {
	case strings.HasSuffix(path, "/token"):
		body = `{"access_token":"t","token_type":"Bearer","expires_in":3600}`
	case strings.HasSuffix(path, "/journals"):
		body = `{"value":[{"id":"` + s.id + `"}]}`
	}
	if request.Body != nil {
		n, _ := io.Copy(io.Discard, request.Body)
		s.came += n
	}
	header := http.Header{"Content-Type": {"application/json"}}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: request}, nil
}

// TestAnAnswerOfVeryManyValuesIsNotDecoded has a server that answers with a megabyte of the smallest elements of a list.
func TestAnAnswerOfVeryManyValuesIsNotDecoded(t *testing.T) { //nolint:paralleltest // it counts what is allocated
	for _, element := range []string{"0,", "{},", "null,"} {
		list := strings.TrimSuffix(strings.Repeat(element, (1<<19-100)/len(element)), ",")
		server := &listServer{`{"responses":[`, list, `],"value":[`, list, `]}`}
		session, err := businesscentral.New().Open(t.Context(), exporters.Batch{
			RunID: "r", Run: "monthly-1", HTTPClient: &http.Client{Transport: server},
			Options:     []byte(`{"tenantID":"t","companyID":"5d115c9c-44e3-ea11-bb43-000d3a2feca1","attachments":true}`),
			Credentials: map[string][]byte{"clientID": []byte("id"), "clientSecret": []byte("hunter2")},
		})
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err = session.LookUp(t.Context(), []exporters.Request{{Voucher: "E/2026/1"}})
		runtime.ReadMemStats(&after)
		var system *exporters.SystemError
		if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 || !errors.As(err, &system) {
			t.Errorf("a megabyte of %s takes %d MiB: %.200v", element, took>>20, err)
		}
	}
}

// listServer answers everything but a login with the same.
type listServer []string

// RoundTrip implements http.RoundTripper.
func (s *listServer) RoundTrip(request *http.Request) (*http.Response, error) {
	body := strings.Join(*s, "")
	if strings.HasSuffix(request.URL.Path, "/token") {
		body = `{"access_token":"t","token_type":"Bearer","expires_in":3600}`
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: request}, nil
}
