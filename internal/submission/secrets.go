package submission

import (
	"slices"
	"strings"
)

// secrets are the values of a Secret in order, so that a look at one place of a message takes as long for thousands of them as for
// a few. A Secret may have a hundred thousand, and every voucher has a message.
type secrets []secret

// secret is a value, with the longest other value that it begins with, by its index; -1 if there is none.
type secret struct {
	value  string
	within int
}

func newSecrets(data map[string][]byte) secrets {
	values := make([]string, 0, len(data))
	for _, value := range data {
		if len(value) > 0 {
			values = append(values, string(value))
		}
	}
	slices.Sort(values)
	all := make(secrets, 0, len(values))
	for _, value := range slices.Compact(values) {
		within := len(all) - 1
		for within >= 0 && !strings.HasPrefix(value, all[within].value) {
			within = all[within].within
		}
		all = append(all, secret{value, within})
	}
	return all
}

// hide returns the beginning of a message, a little more than so many bytes of it, with an ellipsis in place of each value. It looks
// at each place once, because any value may be found in what others left.
func (s secrets) hide(message string, most int) string {
	var shown strings.Builder
	for at := 0; at < len(message) && shown.Len() <= most; {
		if hidden := s.longestAt(message[at:]); hidden > 0 {
			shown.WriteString("…")
			at += hidden
		} else {
			shown.WriteByte(message[at])
			at++
		}
	}
	return shown.String()
}

// longestAt is the length of the longest value that a message begins with. Of the values that do not come after the message in order,
// the last one is it, or begins with it.
func (s secrets) longestAt(message string) int {
	after, is := slices.BinarySearchFunc(s, message, func(s secret, message string) int { return strings.Compare(s.value, message) })
	if is {
		return len(message)
	}
	at := after - 1
	if at < 0 {
		return 0
	}
	common := commonPrefix(s[at].value, message)
	for at >= 0 && len(s[at].value) > common {
		at = s[at].within
	}
	if at < 0 {
		return 0
	}
	return len(s[at].value)
}

// commonPrefix is the number of bytes that two texts begin with alike.
func commonPrefix(a, b string) (n int) {
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}
