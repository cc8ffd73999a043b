package leaks

import (
	"bufio"
	"errors"
	"io"
	"regexp"
)

// Lines of "go test -v".
var (
	// running names the test that speaks from here on.
	running = regexp.MustCompile(`^=== (?:RUN|CONT|NAME) +(\S+)`)
	// passed and failed end the output of a package.
	passed = regexp.MustCompile(`^(?:ok {2}|\? {3})\t`)
	failed = regexp.MustCompile(`^FAIL\t`)
)

// GoTest looks at everything that "go test -v" says of packages, and passes on what it says without -v: one line of each
// package that passes, and all of one that fails.
func (s *Scan) GoTest(from io.Reader, to io.Writer) error {
	var said []byte
	test := "of no test"
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadBytes('\n')
		if named := running.FindSubmatch(line); named != nil {
			test = string(named[1])
		}
		s.Text("output", test, line, BankAccount, Name)
		said = append(said, line...)
		switch {
		case passed.Match(line):
			said = line
			fallthrough
		case failed.Match(line), err != nil:
			if _, err := to.Write(said); err != nil {
				return err
			}
			said, test = nil, "of no test"
		}
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
