// Command release makes everything that a version consists of, without a network and without a container engine: archives with static
// binaries, the image, the list of their modules, the chart, install.yaml, and the manifests of package managers. The same commit
// makes the same bytes, wherever it is checked out. docs/releasing.md says what happens to them.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"
)

// program is the name of the binary, and of the repository and its first release.
const program = "ledgerport"

// homepage is where the project is, and below it its releases.
const homepage = "https://github.com/ledgerport/ledgerport"

// pluginPlatforms are those of the command, which is a plugin of kubectl, too.
const pluginPlatforms = "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64,windows/amd64"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string, out io.Writer) error {
	if len(arguments) == 0 {
		return fmt.Errorf("say what to make: all, image, notes, or modules")
	}
	flags := flag.NewFlagSet(arguments[0], flag.ContinueOnError)
	r := &release{ctx: ctx, out: out}
	var platforms string
	flags.StringVar(&r.root, "root", "../..", "`directory` of the repository")
	flags.StringVar(&r.version, "version", "", "`version`, as git describe has it")
	flags.Func("date", "`seconds` since 1970 of the commit, which everything is dated", func(text string) error {
		_, err := fmt.Sscan(text, &r.seconds)
		return err
	})
	flags.StringVar(&r.into, "into", "", "`directory` or file to write")
	flags.StringVar(&r.repository, "repository", "ghcr.io/ledgerport/ledgerport", "`repository` of the image")
	flags.StringVar(&r.tag, "tag", "", "whole `name` of the image, for image alone")
	flags.StringVar(&platforms, "platforms", pluginPlatforms, "`platforms` to build for; those of Linux are in the image, too")
	push := flags.Bool("push", false, "write the image to its registry, with the logins of ~/.docker/config.json, for image alone")
	if err := flags.Parse(arguments[1:]); err != nil {
		return err
	}
	if err := r.prepare(platforms); err != nil {
		return err
	}
	switch arguments[0] {
	case "all":
		return r.all()
	case "image":
		return r.imageAlone(*push)
	case "notes":
		return r.writeNotes()
	case "modules":
		return r.requireAPI()
	default:
		return fmt.Errorf("%q is not one of all, image, notes, modules", arguments[0])
	}
}

// release is one version, and where it is written.
type release struct {
	ctx        context.Context //nolint:containedctx // the one of the process
	out        io.Writer
	root       string // of the repository
	version    string
	seconds    int64
	into       string
	repository string
	tag        string
	platforms  []platform
	work       string // what is built, before it is packed
	cache      string // GOCACHE, if it is not the usual one
	files      []string
}

// platform is what a binary runs on.
type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "/" + p.arch }

func (r *release) prepare(platforms string) error {
	if r.version == "" || r.into == "" {
		return fmt.Errorf("-version and -into are needed")
	}
	for name := range strings.SplitSeq(platforms, ",") {
		system, arch, whole := strings.Cut(name, "/")
		if !whole {
			return fmt.Errorf("%q is not a platform such as linux/amd64", name)
		}
		r.platforms = append(r.platforms, platform{system, arch})
	}
	return nil
}

// date is that of the commit: nothing has the time at which it was made.
func (r *release) date() time.Time { return time.Unix(r.seconds, 0).UTC() }

// all makes a release in a directory that has nothing else.
func (r *release) all() error {
	if err := r.workIn(); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(r.work) }() // a leftover in the system's own directory is no failure
	for _, part := range []struct {
		name string
		make func() error
	}{
		{"binaries", r.buildAll},
		{"archives", r.archiveAll},
		{"modules of the binaries", r.listModules},
		{"image", r.image},
		{"install.yaml", r.writeInstall},
		{"chart", r.packChart},
		{"manifest of krew", r.writeKrew},
		{"formula of Homebrew", r.writeFormula},
		{"notes", r.writeNotes},
		{"checksums", r.writeChecksums},
	} {
		start := time.Now()
		if err := part.make(); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		fmt.Fprintf(r.out, "%-24s %5.1f s\n", part.name, time.Since(start).Seconds())
	}
	return nil
}

func (r *release) workIn() (err error) {
	if err := os.MkdirAll(r.into, 0o755); err != nil { // #nosec G301 -- to be published
		return err
	}
	r.work, err = os.MkdirTemp("", "ledgerport-release-")
	return err
}
