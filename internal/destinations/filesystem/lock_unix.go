//go:build !windows

package filesystem

import (
	"errors"
	"os"
	"syscall"
)

// directoryOnly refuses to open what is not a directory.
const directoryOnly = syscall.O_DIRECTORY

// tryLock locks a file until it is closed, alone or with others, and reports whether somebody else has it locked.
func tryLock(file *os.File, alone bool) (taken bool, err error) {
	how := syscall.LOCK_SH
	if alone {
		how = syscall.LOCK_EX
	}
	err = syscall.Flock(int(file.Fd()), how|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}
