package credentials

import (
	"strings"

	"github.com/ledgerport/ledgerport/internal/failure"
)

// EnvironmentVariable names the variable of the operator's environment that stands in for one key of a resource's
// credentials while their store is broken, such as LEDGERPORT_CREDENTIALS__AccountingExport__acme__monthly__token.
// Different resources and keys have different variables: letters and digits stand for themselves, "_d" for "-", "_p" for
// ".", "_u" for "_", and "__" for nothing but the border between two parts.
func EnvironmentVariable(kind, namespace, name, key string) string {
	escape := strings.NewReplacer("-", "_d", ".", "_p", "_", "_u")
	return strings.Join([]string{"LEDGERPORT_CREDENTIALS", kind, escape.Replace(namespace), escape.Replace(name), escape.Replace(key)}, "__")
}

// fromEnvironment takes every key that is needed from the environment, or says that the store is broken and which variable
// is missing.
func (s Secrets) fromEnvironment(ref Reference, broken error) (Credentials, error) {
	failed := failure.From(broken)
	if len(ref.Keys) == 0 {
		return Credentials{}, broken // nothing says what to take
	}
	found := Credentials{Data: map[string][]byte{}}
	for _, key := range ref.Keys {
		variable := EnvironmentVariable(ref.Kind, ref.Namespace, ref.Name, key)
		value, _ := s.Environment(variable)
		if value == "" {
			return Credentials{}, refused(failed.Reason, failed.Cause, "%s; the operator's environment has no %s either", failed.Message, variable)
		}
		found.Data[key] = []byte(value)
	}
	found.Fallback = "taken from the operator's environment until the store is fixed: " + failed.Message
	return found, nil
}
