package environment

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ticks of a processor in a second, as the kernel counts them for every program.
const ticks = 100

// CPU is the time of processors that a running process has taken, with that of its children, those that have ended among them.
func CPU(pid int) (time.Duration, error) {
	total, err := ticksOf(pid, true)
	if err != nil {
		return 0, err
	}
	all, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is well formed
	for _, path := range all {
		child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path))) // digits, as above
		if fields, err := statOf(child); err == nil && fields[1] == strconv.Itoa(pid) {
			took, _ := ticksOf(child, false) // one that has just ended is its parent's
			total += took
		}
	}
	return time.Duration(total) * time.Second / ticks, nil
}

// Parent is the process that has started a running one.
func Parent(pid int) (int, error) {
	fields, err := statOf(pid)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(fields[1])
}

// ticksOf are those of a process, and where it is asked for of its children that have ended.
func ticksOf(pid int, ended bool) (total int64, err error) {
	fields, err := statOf(pid)
	if err != nil {
		return 0, err
	}
	last := 13
	if ended {
		last = 15
	}
	for _, field := range fields[11:last] { // utime, stime, cutime, cstime
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// statOf are the fields of /proc/<pid>/stat behind the name, which may have spaces: the state is the first, the parent the second.
func statOf(pid int) ([]string, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(content)[strings.LastIndexByte(string(content), ')')+1:])
	if len(fields) < 15 {
		return nil, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	return fields, nil
}
