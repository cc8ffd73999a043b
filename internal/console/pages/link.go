package pages

import (
	"errors"
	"net/url"
	"strings"
)

// claimLink says where an application shows claims. The zero value says it of none.
type claimLink struct{ before, after, escape string }

const (
	placeholder     = "{id}"
	longestTemplate = 2048
)

var errTemplate = errors.New("it is not an https URL with {id} once in its path, query or fragment")

// newClaimLink reads a template that the owner of an export has written. What it leads to is the application's; that it is https, and
// that the host is not made of the id of a claim, is looked at here.
func newClaimLink(template string) (claimLink, error) {
	if template == "" {
		return claimLink{}, nil
	}
	before, after, found := strings.Cut(template, placeholder)
	if !found || strings.Contains(after, placeholder) || len(template) > longestTemplate || strings.ContainsAny(template, "\\\"'<> ") {
		return claimLink{}, errTemplate
	}
	const sign = "0ledgerport0"
	read, err := url.Parse(before + sign + after)
	if err != nil || read.Scheme != "https" || read.Host == "" || read.User != nil || read.Opaque != "" || strings.Contains(before, sign) || strings.Contains(after, sign) {
		return claimLink{}, errTemplate
	}
	switch {
	case strings.Contains(read.Path, sign):
		return claimLink{before, after, "path"}, nil
	case strings.Contains(read.RawQuery, sign):
		return claimLink{before, after, "query"}, nil
	case strings.Contains(read.Fragment, sign):
		return claimLink{before, after, "fragment"}, nil
	}
	return claimLink{}, errTemplate
}

// of is the URL of a claim; empty if there is none.
func (l claimLink) of(claim string) string {
	switch {
	case l.before == "" || claim == "":
		return ""
	case l.escape == "query":
		return l.before + url.QueryEscape(claim) + l.after
	case strings.Trim(claim, ".") == "": // a browser would take it for another directory
		return ""
	}
	return l.before + url.PathEscape(claim) + l.after
}
