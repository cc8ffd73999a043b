package bundle

import (
	"encoding/json"
	"regexp"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// redacted stands for what is left out.
const redacted = "(redacted)"

// patterns are of secrets and bank accounts, wherever they are, with what stands for them.
var patterns = []struct {
	of   *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b`), redacted}, // an IBAN
	{regexp.MustCompile(`//[^\s/@"']+@`), "//" + redacted + "@"},                                  // a login in a URL
	{regexp.MustCompile(`(?i)\b(password|passwd|passphrase|secret|token|sslpassword|apikey)=[^\s&"']+`), "$1=" + redacted},
	{regexp.MustCompile(`(?i)\b(bearer|basic) [a-z0-9._~+/=-]{8,}`), "$1 " + redacted},
	{regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)`), redacted},
}

// private are names of options whose values are bank accounts, people or secrets.
var private = regexp.MustCompile(`(?i)iban|bic$|bank|giro|debtor|creditor|account(id|number)?$|password|secret|token|key$|phone|mail|contact|person|owner|firstname|lastname`)

// quoting are the reasons whose messages quote an accounting system, which may name a claimant.
var quoting = map[string]bool{v1alpha1.ReasonVouchersRejected: true, v1alpha1.ReasonSystemRefused: true, v1alpha1.ReasonClaimsHeld: true}

// Text is a text without secrets and bank accounts.
func Text(text string) string {
	for _, pattern := range patterns {
		text = pattern.of.ReplaceAllString(text, pattern.with)
	}
	return text
}

// Object is a resource without secrets, bank accounts and names of claimants: what others annotate it with is left out, too, because
// kubectl keeps a copy of the whole there.
func Object(content map[string]any) map[string]any {
	kept := object(content)
	if metadata, is := kept["metadata"].(map[string]any); is {
		delete(metadata, "managedFields")
		if annotations, is := metadata["annotations"].(map[string]any); is {
			for name := range annotations {
				if !ours.MatchString(name) {
					delete(annotations, name)
				}
			}
		}
	}
	if spec, is := kept["spec"].(map[string]any); is {
		if exporter, is := spec["exporter"].(map[string]any); is {
			exporter["options"] = options(exporter["options"], false)
		}
	}
	return kept
}

var ours = regexp.MustCompile(`^accounting\.ledgerport\.dev/`)

// object copies fields. A message is left out beside a reason that quotes, and where it is of a claim.
func object(fields map[string]any) map[string]any {
	kept := make(map[string]any, len(fields))
	reason, _ := fields["reason"].(string)
	_, ofClaim := fields["id"]
	for name, field := range fields {
		if (name == "message" || name == "note") && (quoting[reason] || ofClaim) {
			field = redacted
		}
		kept[name] = value(field)
	}
	return kept
}

// logLine is a line of the operator's log, which is an object too.
func logLine(line string) string {
	var fields map[string]any
	if json.Unmarshal([]byte(line), &fields) == nil {
		if reason, _ := fields["reason"].(string); quoting[reason] {
			if kept, err := json.Marshal(object(fields)); err == nil {
				return string(kept)
			}
		}
	}
	return Text(line)
}

func value(field any) any {
	switch field := field.(type) {
	case string:
		return Text(field)
	case map[string]any:
		return object(field)
	case []any:
		items := make([]any, len(field))
		for i, item := range field {
			items[i] = value(item)
		}
		return items
	}
	return field
}

// options leaves out the texts and numbers below a private name.
func options(field any, hidden bool) any {
	switch field := field.(type) {
	case map[string]any:
		kept := make(map[string]any, len(field))
		for name, item := range field {
			kept[name] = options(item, hidden || private.MatchString(name))
		}
		return kept
	case []any:
		items := make([]any, len(field))
		for i, item := range field {
			items[i] = options(item, hidden)
		}
		return items
	case bool, nil:
		return field
	}
	if hidden {
		return redacted
	}
	return value(field)
}
