// Package standins has servers that stand in for accounting systems which nobody can run on a developer's machine.
package standins

import "github.com/ledgerport/ledgerport/test/businesscentral"

// StandIn is a server, and what an AccountingExport must say to reach it.
type StandIn struct {
	// Options of the exporter, and keys of its credentials, that differ from those of the real system.
	Options     map[string]string
	Credentials map[string]string
	// Stop ends the server.
	Stop func()
}

// Start starts the stand-in for the system of an exporter, or says that there is none.
func Start(exporter string) (StandIn, bool) {
	if exporter != "businesscentral" {
		return StandIn{}, false
	}
	server := businesscentral.New(businesscentral.Settings{})
	return StandIn{
		Options:     map[string]string{"tenantID": businesscentral.Tenant, "companyID": businesscentral.Company, "baseURL": server.BaseURL(), "tokenURL": server.TokenURL()},
		Credentials: map[string]string{"clientID": businesscentral.ClientID, "clientSecret": businesscentral.ClientSecret, "hosts": "127.0.0.1"},
		Stop:        server.Close,
	}, true
}
