package schedule

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// Delay returns an export's own share of a jitter: at least 0, less than the jitter, and always the same for the same
// namespace and name. The shares of many exports lie evenly.
func Delay(namespace, name string, jitter time.Duration) time.Duration {
	if jitter <= 0 {
		return 0
	}
	digest := sha256.Sum256([]byte(namespace + "/" + name))
	return time.Duration(binary.BigEndian.Uint64(digest[:]) % uint64(jitter))
}
