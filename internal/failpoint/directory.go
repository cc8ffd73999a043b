//go:build failpoints

package failpoint

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// DirectoryVariable names the directory in which a test arms points. It means nothing to a binary without the tag.
const DirectoryVariable = "LEDGERPORT_FAILPOINTS"

// FromEnvironment returns a hook that looks for a file with the name of the point in the directory that the environment
// names. The process that renames the file to <point>.<process id> has taken it, and does what it says: kill ends this process at
// once, stop stops it until it gets SIGCONT.
func FromEnvironment() Hook {
	directory := os.Getenv(DirectoryVariable)
	if directory == "" {
		return nil
	}
	return func(point Point) {
		armed := filepath.Join(directory, string(point))
		action, err := os.ReadFile(armed) // #nosec G304 -- a test's own directory
		if err != nil {
			return
		}
		if err := os.Rename(armed, armed+"."+strconv.Itoa(os.Getpid())); err != nil {
			return // another process was faster
		}
		signal := syscall.SIGKILL
		if strings.TrimSpace(string(action)) == "stop" {
			signal = syscall.SIGSTOP
		}
		_ = syscall.Kill(os.Getpid(), signal) // a process can always signal itself
		if signal == syscall.SIGKILL {
			select {} // the signal is on its way
		}
	}
}
