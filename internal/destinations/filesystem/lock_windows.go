package filesystem

import (
	"errors"
	"math"
	"os"

	"golang.org/x/sys/windows"
)

// directoryOnly is nothing here: Windows opens a directory as such by itself.
const directoryOnly = 0

// tryLock locks a file until it is closed, alone or with others, and reports whether somebody else has it locked. A lock of Windows is
// one of bytes, and stops others from reading those: it is of one beyond the end of any file.
func tryLock(file *os.File, alone bool) (taken bool, err error) {
	how := uint32(windows.LOCKFILE_FAIL_IMMEDIATELY)
	if alone {
		how |= windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	beyond := &windows.Overlapped{Offset: math.MaxUint32, OffsetHigh: math.MaxInt32}
	err = windows.LockFileEx(windows.Handle(file.Fd()), how, 0, 1, 0, beyond)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return true, nil
	}
	return false, err
}
