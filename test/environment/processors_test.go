package environment

import (
	"os"
	"os/exec"
	"testing"
)

func TestProcessorsOfAChildThatHasEndedAreItsParents(t *testing.T) {
	t.Parallel()
	before, err := CPU(os.Getpid())
	if err != nil {
		t.Skip(err) // a system without /proc
	}
	if err := exec.CommandContext(t.Context(), "/bin/sh", "-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done").Run(); err != nil {
		t.Fatal(err)
	}
	after, err := CPU(os.Getpid())
	if err != nil || after <= before {
		t.Errorf("%s were taken before, and %s after a child that counts (%v)", before, after, err)
	}
}
