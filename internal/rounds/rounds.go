// Package rounds bounds what a server can have a client compute in a login by SCRAM (RFC 5802). The libraries that log in at databases and
// mail servers compute as many rounds of a hash as they are asked for, or as good as, without looking at the time, and cannot be stopped.
package rounds

import (
	"bytes"
	"strconv"
)

// Most is how many rounds a server may ask for, a fifth of a second of one core. PostgreSQL asks for 4,096 unless its
// scram_iterations says otherwise; mail servers ask for up to some 100,000.
const Most = 1_000_000

// Affordable reports whether every number of rounds in a server's challenge (r=…,s=…,i=…) is one that may be asked for.
func Affordable(challenge []byte) bool {
	for part := range bytes.SplitSeq(challenge, []byte(",")) {
		text, is := bytes.CutPrefix(part, []byte("i="))
		if !is {
			continue
		}
		if n, err := strconv.Atoi(string(text)); err != nil || n < 1 || n > Most {
			return false
		}
	}
	return true
}
