package environment

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// servedDirectory tells this test binary, run once more by the test below, to be a process that has a server.
const servedDirectory = "LEDGERPORT_TEST_SERVED_DIRECTORY"

func TestMain(m *testing.M) {
	if directory := os.Getenv(servedDirectory); directory != "" {
		s, err := startServer(exec.Command("sleep", "600"), directory)
		if err != nil {
			panic(err)
		}
		fmt.Println(s.command.Process.Pid)
		select {}
	}
	os.Exit(m.Run())
}

func TestAServerAndItsDirectoryEndWithAProcessThatIsKilled(t *testing.T) {
	t.Parallel()
	directory := filepath.Join(t.TempDir(), "served")
	if err := os.Mkdir(directory, 0o750); err != nil {
		t.Fatal(err)
	}
	process := exec.Command(os.Args[0])
	process.Env = append(os.Environ(), servedDirectory+"="+directory)
	output, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	var server int
	if _, err := fmt.Fscan(bufio.NewReader(output), &server); err != nil {
		t.Fatal(err)
	}
	if err := process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = process.Wait() // it was killed
	eventually(t, "the directory is gone", func() bool {
		_, err := os.Stat(directory)
		return errors.Is(err, fs.ErrNotExist)
	})
	eventually(t, "the server has ended", func() bool { return errors.Is(syscall.Kill(server, 0), syscall.ESRCH) })
}

func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	tick, timeout := time.NewTicker(20*time.Millisecond), time.After(30*time.Second)
	defer tick.Stop()
	for !happened() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("it never happened that %s", what)
		}
	}
}
