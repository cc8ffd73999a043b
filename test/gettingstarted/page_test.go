// Package gettingstarted_test does what docs/getting-started.md says, command by command, and compares what comes of it with what the page shows.
package gettingstarted_test

import (
	"bytes"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/ledgerport/ledgerport/test/environment"
	"github.com/ledgerport/ledgerport/test/tests3"
)

const page = "../../docs/getting-started.md"

// TestThePageLeadsToAFirstFile has a control plane without nodes: an operator as a process stands in for what Helm installs, which test/helm and
// `make e2e` are about.
func TestThePageLeadsToAFirstFile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(page)
	must(t, err)
	s := start(t)
	shown := s.follow(t, string(text))

	for _, want := range []string{"image", "install"} {
		if !slices.ContainsFunc(s.said(t), func(line string) bool { return strings.Contains(line, want) }) {
			t.Errorf("the page does not ask for %s: %q", want, s.said(t))
		}
	}
	if location := "s3://" + s.bucket.Name + "/acme/monthly/first/first.csv"; !strings.Contains(shown, location+"\n") {
		t.Errorf("the location is not shown: want %s, and what is shown is\n%s", location, shown)
	}
	first := s.object(t, "acme/monthly/first/first.csv")
	if !strings.Contains(string(text), "\n"+strings.ReplaceAll(first, "\r\n", "\n")+"```\n") {
		t.Errorf("the page shows another file than\n%s", first)
	}
	if !strings.Contains(shown, "Unmapped") {
		t.Errorf("the held claim is not shown:\n%s", shown)
	}
	files := slices.DeleteFunc(s.bucket.Keys(t), func(key string) bool { return !strings.HasSuffix(key, ".csv") })
	if len(files) != 2 {
		t.Fatalf("the bucket has %q, want the files of two runs", files)
	}
	second := s.object(t, files[1-slices.Index(files, "acme/monthly/first/first.csv")])
	if !strings.Contains(second, "E/2026/3,2026-11-06,4930,Office supplies,Flowers,EUR,30.00") {
		t.Errorf("the second run has exported\n%s", second)
	}
	shown = settled(strings.ReplaceAll(shown, s.bucket.Name, "acme-books"))
	for _, match := range answer.FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(settled(match[1])) {
			if !strings.Contains(shown, line) {
				t.Errorf("the page shows %q, which is not in\n%s", line, shown)
			}
		}
	}
}

var (
	answer = regexp.MustCompile("(?s)```text\n(.*?)\n```\n")
	varies = regexp.MustCompile(`\b(\d+m)?(\d+\.)?\d+m?s\b|\b\d+m\b|-r[0-9a-f]{8}\b`)
	blanks = regexp.MustCompile(` +`)
)

// settled is what is shown without what differs each time: how long it took, the name of a requested run, and so how wide columns are.
func settled(shown string) string {
	return strings.ReplaceAll(blanks.ReplaceAllString(varies.ReplaceAllString(shown, "…"), " "), " \n", "\n")
}

// servers are what a reader of the page brings, and the operator.
type servers struct {
	place, database string
	bucket          tests3.Bucket
	plane           *environment.ControlPlane
	kubectl, psql   string
}

func start(t *testing.T) *servers {
	t.Helper()
	ctx := t.Context()
	s := &servers{place: t.TempDir(), bucket: tests3.New(t)}
	assets, err := environment.ControlPlaneAssets(ctx, os.Stderr)
	must(t, err)
	kubectl, found := environment.Kubectl(assets)
	if !found {
		t.Skip("there is no kubectl beside the control plane, nor on PATH")
	}
	s.kubectl = filepath.Dir(kubectl)
	s.psql, err = environment.PostgresBinaries(ctx, os.Stderr)
	must(t, err)
	s.plane, err = environment.StartControlPlane(ctx, assets, io.Discard)
	must(t, err)
	t.Cleanup(s.plane.Stop)
	postgres, err := environment.StartPostgres(ctx, filepath.Join(s.place, "postgres"), os.Stderr) // of its own: the page makes a role
	must(t, err)
	t.Cleanup(postgres.Stop)
	s.database = postgres.URL
	operator, err := environment.StartOperator(ctx, s.plane, s.place, "--recheck-interval=1s")
	must(t, err)
	t.Cleanup(func() {
		if err := operator.Stop(); err != nil || t.Failed() {
			log, _ := os.ReadFile(operator.LogPath) // what there is of it
			t.Logf("the operator: %v\n%s", err, log)
		}
	})
	return s
}

var block = regexp.MustCompile("(?s)(<!-- yours -->\n)?```sh\n(.*?\n)```\n")

// follow runs all commands of the page in one shell, and returns what they print.
func (s *servers) follow(t *testing.T, text string) string {
	t.Helper()
	var script strings.Builder
	for i, match := range block.FindAllStringSubmatch(text, -1) {
		if mine := match[1] != ""; mine != (i == 0) {
			t.Fatalf("the first block, and no other, is what a reader changes:\n%s", match[2])
		}
		if i == 0 {
			script.WriteString(s.yours(t, match[2]))
			continue
		}
		script.WriteString(match[2])
	}
	commands := filepath.Join(s.place, "commands")
	must(t, os.Mkdir(commands, 0o750))
	root, err := environment.ModuleRoot()
	must(t, err)
	for name, content := range map[string]string{
		"git":  `[ "$1" = clone ] && ln -s "$ROOT" ledgerport`,
		"make": `echo make "$@" >>"$SAID"`,
		"helm": `[ -f "$2" ] || [ -f "$3/Chart.yaml" ] && echo helm "$@" >>"$SAID"`,
	} {
		must(t, os.WriteFile(filepath.Join(commands, name), []byte("#!/bin/sh\n"+content+"\n"), 0o700)) // #nosec G306 -- to be run
	}
	shell := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script.String()) // #nosec G204 -- our own page
	shell.Dir = t.TempDir()
	shell.Env = append(os.Environ(), "PATH="+strings.Join([]string{commands, s.kubectl, s.psql, os.Getenv("PATH")}, ":"), "KUBECONFIG="+s.plane.KubeconfigPath,
		"ROOT="+root, "SAID="+filepath.Join(s.place, "said"))
	var out, problems bytes.Buffer
	shell.Stdout, shell.Stderr = &out, &problems
	if err := shell.Run(); err != nil {
		t.Fatalf("the page's commands end with %v\n%s\n%s", err, &out, &problems)
	}
	return out.String()
}

var variable = regexp.MustCompile(`\b([A-Z0-9_]+)=`)

// yours are the values of this test for the variables that a reader sets.
func (s *servers) yours(t *testing.T, text string) string {
	t.Helper()
	admin, err := url.Parse(s.database)
	must(t, err)
	admin.RawQuery = "sslmode=disable"
	values := map[string]string{
		"DATABASE": admin.Host + admin.RequestURI(), "ADMIN_URL": admin.String(), "PASSWORD": "a-password-of-this-test",
		"S3_ENDPOINT": s.bucket.Endpoint, "S3_REGION": s.bucket.Region, "S3_BUCKET": s.bucket.Name, "S3_ACCESS_KEY": s.bucket.AccessKey, "S3_SECRET_KEY": s.bucket.SecretKey,
		"IMAGE": "registry.example.com/ledgerport", "TAG": "test",
	}
	var script strings.Builder
	for _, match := range variable.FindAllStringSubmatch(text, -1) {
		value, known := values[match[1]]
		if !known {
			t.Fatalf("the page has a reader set %s, and this test does not know what to", match[1])
		}
		script.WriteString("export " + match[1] + "='" + value + "'\n")
	}
	return script.String()
}

// said are the commands that others stand in for.
func (s *servers) said(t *testing.T) []string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(s.place, "said"))
	must(t, err)
	return strings.Split(strings.TrimSpace(string(content)), "\n")
}

func (s *servers) object(t *testing.T, key string) string {
	t.Helper()
	answer, err := s.bucket.Client().GetObject(t.Context(), &s3.GetObjectInput{Bucket: &s.bucket.Name, Key: aws.String(key)})
	must(t, err)
	content, err := io.ReadAll(answer.Body)
	must(t, err)
	must(t, answer.Body.Close())
	return string(content)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
