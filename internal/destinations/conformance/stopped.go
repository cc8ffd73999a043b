package conformance

import (
	"context"
	"io"
	"strings"
	"testing"
)

// TestStopped lets a writer be stopped in the middle, another one put and remove its object, and the first one wake up: it publishes
// nothing.
func TestStopped(t *testing.T, s Subject) {
	t.Helper()
	begun, wake, late := make(chan struct{}), make(chan struct{}), make(chan error)
	stopped := CallReader(func() { close(begun); <-wake })
	go func() {
		late <- s.Put(context.Background(), Key, Describe("late"), io.MultiReader(stopped, strings.NewReader("late")))
	}()
	<-begun
	s.PutText(t, Key, "content")
	must(t, s.Remove(t.Context(), Key, Describe("content")))
	close(wake)
	if err := <-late; err == nil {
		t.Error("the writer that woke up says that its file is there")
	}
	s.Holds(t)
}
