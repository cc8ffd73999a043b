package businesscentral

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/ledgerport/ledgerport/exporters"
)

// options of the exporter. docs/exporters/businesscentral.md has a table of them, made by make generate.
type options struct {
	// Microsoft Entra tenant: its id or one of its domains.
	TenantID string `json:"tenantID" required:"true" form:"^[A-Za-z0-9][A-Za-z0-9.-]{0,252}$" otherwise:"is neither the id nor a domain of a tenant"`
	// Environment of Business Central.
	Environment string `json:"environment" default:"production" form:"^[A-Za-z0-9][A-Za-z0-9_-]{0,49}$" otherwise:"is not the name of an environment"`
	// Id of the company, as `GET companies` of the API shows it.
	CompanyID string `json:"companyID" required:"true" form:"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$" otherwise:"is not an id such as 5d115c9c-44e3-ea11-bb43-000d3a2feca1"`
	// Post the journal when it has every voucher. Otherwise somebody posts it in Business Central.
	Post bool `json:"post"`
	// `Continue`: the others go on where a voucher is rejected. `Stop`: nothing more is sent or posted by the run.
	OnRejection string `json:"onRejection" default:"Continue" choices:"Continue|Stop"`
	// What the offset posting is on: `G/L Account`, the account of the chart; `Employee` or `Vendor`, the one whose number is
	// the claimant's id.
	OffsetAccountType string `json:"offsetAccountType" default:"G/L Account" choices:"G/L Account|Employee|Vendor"`
	// Code in Business Central of each dimension that is exported, such as `{"costCenter": "DEPARTMENT"}`.
	Dimensions map[string]string `json:"dimensions" absent:"none"`
	// Attach the receipts of a voucher to its lines. The export says `receipts: Include` or `Require` then.
	Attachments bool `json:"attachments"`
	// Where the API is, up to the tenant.
	BaseURL string `json:"baseURL" default:"https://api.businesscentral.dynamics.com/v2.0"`
	// Where tokens are.
	TokenURL string `json:"tokenURL" absent:"https://login.microsoftonline.com/<tenantID>/oauth2/v2.0/token"`
}

const (
	onRejectionStop = "Stop"
	glAccount       = "G/L Account"
)

func decodeOptions(raw []byte) (*options, error) {
	o := &options{}
	return o, exporters.DecodeOptions(raw, o)
}

// Check implements exporters.Checked, and completes the URL of tokens.
func (o *options) Check() error {
	if o.TokenURL == "" {
		o.TokenURL = "https://login.microsoftonline.com/" + o.TenantID + "/oauth2/v2.0/token"
	}
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(o.Dimensions)) {
		if code := o.Dimensions[name]; code == "" || length(code) > maxCode {
			problems = append(problems, &exporters.OptionError{Field: "dimensions." + name, Problem: fmt.Sprintf("is not a code of 1 to %d characters", maxCode)})
		}
	}
	for _, endpoint := range []struct{ field, value string }{{"baseURL", o.BaseURL}, {"tokenURL", o.TokenURL}} {
		if problem := endpointProblem(endpoint.value); problem != "" {
			problems = append(problems, &exporters.OptionError{Field: endpoint.field, Problem: problem})
		}
	}
	return errors.Join(problems...)
}

// endpointProblem says why a URL cannot be where a secret is sent to.
func endpointProblem(text string) string {
	endpoint, err := url.Parse(text)
	switch {
	case err != nil || endpoint.Host == "":
		return "is not a URL"
	case endpoint.User != nil || endpoint.RawQuery != "" || endpoint.Fragment != "":
		return "has more than scheme, host and path"
	case endpoint.Scheme == "http" && net.ParseIP(endpoint.Hostname()).IsLoopback():
		return ""
	case endpoint.Scheme != "https":
		return "does not begin with https://"
	}
	return ""
}

// microsoft are the hosts to which the client's secret and tokens may go, with the hosts below them.
var microsoft = []string{
	"api.businesscentral.dynamics.com", "login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn",
}

// checkHosts insists that the client's secret goes to Microsoft only, or to a host that the Secret itself names: who may
// write an AccountingExport may not be allowed to read the Secret.
func (o *options) checkHosts(credentials map[string][]byte) error {
	named := strings.FieldsFunc(string(credentials[hostsKey]), func(r rune) bool { return r == ',' || r == ' ' || r == '\n' })
	for field, text := range map[string]string{"baseURL": o.BaseURL, "tokenURL": o.TokenURL} {
		endpoint, err := url.Parse(text)
		if err != nil {
			return err
		}
		if host := strings.ToLower(endpoint.Hostname()); !slices.Contains(microsoft, host) && !slices.Contains(named, host) {
			return &exporters.OptionError{Field: field, Problem: fmt.Sprintf("the host %s is not Microsoft's, and the credentials do not name it under the key hosts", host)}
		}
	}
	return nil
}
