package environment

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// PeakRSS is the largest resident set that a running process ever had, in bytes. It is the kernel's VmHWM: the figure of
// getrusage begins with that of the parent.
func PeakRSS(pid int) (int64, error) { return memoryOf(pid, "VmHWM:") }

// RSS returns the resident memory of a process, in bytes.
func RSS(pid int) (int64, error) { return memoryOf(pid, "VmRSS:") }

func memoryOf(pid int, field string) (int64, error) {
	path := fmt.Sprintf("/proc/%d/status", pid)
	status, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == field {
			kibibytes, err := strconv.ParseInt(fields[1], 10, 64)
			return kibibytes * 1024, err
		}
	}
	return 0, fmt.Errorf("%s has no %s", path, field)
}
