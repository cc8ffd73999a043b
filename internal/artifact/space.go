package artifact

import (
	"sync"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// Space is the disk that the artifacts of all attempts share. It is safe for concurrent use; nil has no bounds.
type Space struct {
	// Attempt and Total bound what one attempt and all of them may take, in bytes. Those of one namespace may take half of all, or
	// what one attempt may: the rest is for others.
	Attempt, Total int64

	mu   sync.Mutex
	used map[string]int64 // by namespace
}

// take takes so many bytes for an attempt that has some already, or says why they are too many.
func (s *Space) take(namespace string, more, taken int64) error {
	if s == nil {
		return nil
	}
	if taken+more > s.Attempt {
		return failure.Stalled(v1alpha1.ReasonSpoolFull, nil,
			"the artifact takes more than %d MiB, compressed, before it is delivered; run the export more often, or let an administrator raise --spool-limit", s.Attempt>>20)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := more
	for _, used := range s.used {
		all += used
	}
	switch share := max(s.Total/2, s.Attempt); {
	case all > s.Total:
		return failure.Transient(v1alpha1.ReasonSpoolFull, nil,
			"the artifacts that are being rendered take the %d MiB of --spool-total-limit; the run goes on when others have ended", s.Total>>20)
	case s.used[namespace]+more > share:
		return failure.Transient(v1alpha1.ReasonSpoolFull, nil,
			"the artifacts that are being rendered for this namespace take %d MiB, its share of --spool-total-limit; the run goes on when others of the namespace have ended", share>>20)
	}
	if s.used == nil {
		s.used = map[string]int64{}
	}
	s.used[namespace] += more
	return nil
}

// give returns bytes that were taken.
func (s *Space) give(namespace string, bytes int64) {
	if s == nil || bytes == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used[namespace] -= bytes; s.used[namespace] == 0 {
		delete(s.used, namespace)
	}
}
