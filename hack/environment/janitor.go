package environment

import (
	"io"
	"os/exec"
	"strconv"
	"syscall"
)

// janitor removes the directory of a server that this process had no chance to stop: a test binary ends when its tests
// do, or is killed. It is a shell that waits for the end of its standard input, which is the end of this process.
type janitor struct {
	shell *exec.Cmd
	hold  io.Closer
}

const janitorScript = `cat; while kill -0 "$1" 2>/dev/null; do sleep 0.1; done; rm -rf -- "$2"`

// startJanitor watches over a server that dies with this process, and its directory.
func startJanitor(server int, directory string) (*janitor, error) {
	shell := exec.Command("/bin/sh", "-c", janitorScript, "sh", strconv.Itoa(server), directory) // #nosec G204 -- a constant and our own directory
	shell.Dir = "/"
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is not for it
	hold, err := shell.StdinPipe()
	if err != nil {
		return nil, err
	}
	return &janitor{shell: shell, hold: hold}, shell.Start()
}

// dismiss waits until the directory is gone. The server has to have ended.
func (j *janitor) dismiss() {
	_ = j.hold.Close()
	_ = j.shell.Wait() // what it could not remove stays in the temporary directory, which is no failure
}
