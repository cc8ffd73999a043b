package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"mime"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/ianaindex"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/environment"
)

// show prints what a user would look at: the resources, the head of each file, the manifests and the held claims.
func (d *demo) show(ctx context.Context) error {
	kubectl, _ := environment.Kubectl(d.assets)
	fmt.Print("\n==> kubectl get accountingexports,exportruns --all-namespaces -o wide\n")
	if err := printTable(ctx, d.controlPlane.Config, d.controlPlane.KubeconfigPath, kubectl, "accountingexports", "exportruns"); err != nil {
		return err
	}
	if err := filepath.WalkDir(d.operator.Exports, d.showFile); err != nil {
		return err
	}
	return d.showHeld(ctx)
}

// showFile prints the head of an artifact, and the whole of a manifest.
func (d *demo) showFile(path string, entry fs.DirEntry, err error) error {
	if err != nil || entry.IsDir() || strings.HasPrefix(entry.Name(), ".") {
		return err
	}
	relative, err := filepath.Rel(d.operator.Exports, path)
	if err != nil {
		return err
	}
	fmt.Printf("\n==> %s\n", relative)
	if entry.Name() == manifestName {
		return printHead(path, encoding.Nop, 60)
	}
	charset, err := charsetOf(path)
	if err != nil {
		return err
	}
	return printHead(path, charset, 30)
}

const manifestName = "manifest.json"

// charsetOf returns the encoding of a file of an artifact, which the manifest beside it says.
func charsetOf(path string) (encoding.Encoding, error) {
	content, err := os.ReadFile(filepath.Join(filepath.Dir(path), manifestName))
	if err != nil {
		return nil, err
	}
	var manifest struct {
		Files []struct{ Name, MediaType string }
	}
	if err := json.Unmarshal(content, &manifest); err != nil {
		return nil, err
	}
	for _, file := range manifest.Files {
		_, parameters, err := mime.ParseMediaType(file.MediaType)
		if name := parameters["charset"]; file.Name == filepath.Base(path) && err == nil && name != "" {
			return ianaindex.IANA.Encoding(name)
		}
	}
	return encoding.Nop, nil
}

func printHead(path string, charset encoding.Encoding, lines int) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read
	scanner := bufio.NewScanner(charset.NewDecoder().Reader(file))
	for ; lines > 0 && scanner.Scan(); lines-- {
		fmt.Println(strings.TrimSuffix(scanner.Text(), "\r"))
	}
	if scanner.Scan() {
		fmt.Println("…")
	}
	return scanner.Err()
}

// showHeld prints which claims were held and why, from the manifests.
func (d *demo) showHeld(ctx context.Context) error {
	var runs v1alpha1.ExportRunList
	if err := d.client.List(ctx, &runs); err != nil {
		return err
	}
	for i := range runs.Items {
		run := &runs.Items[i]
		fmt.Printf("\n==> Held claims of ExportRun %s/%s: %d\n", run.Namespace, run.Name, run.Status.Held)
		if run.Status.Location == "" {
			continue // nothing was exported
		}
		location, err := url.Parse(run.Status.Location)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(filepath.Join(filepath.Dir(location.Path), manifestName))
		if err != nil {
			return err
		}
		var manifest struct {
			Held []struct{ Claim, Reason, Detail string }
		}
		if err := json.Unmarshal(content, &manifest); err != nil {
			return err
		}
		for _, held := range manifest.Held {
			fmt.Printf("    %s  %s: %s\n", held.Claim, held.Reason, held.Detail)
		}
	}
	return nil
}

// explain says how to go on while everything is running.
func (d *demo) explain() {
	fmt.Printf(`
==> Everything keeps running; Ctrl-C stops it. In another shell:

    export KUBECONFIG=%s
    kubectl get aex --all-namespaces --watch
    kubectl describe xrun --all-namespaces
    kubectl explain accountingexport.spec
    kubectl annotate aex --all --all-namespaces accounting.ledgerport.dev/requestedAt="$(date -Is)" --overwrite

    The application's database:  psql '%s'
    Who was exported:            select * from ledgerport.exported_claims limit 10;
    Delivered files:             %s
    The operator's log:          %s
`, d.controlPlane.KubeconfigPath, d.postgres.URL, d.operator.Exports, d.operator.LogPath)
}
