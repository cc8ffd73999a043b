// Package crd holds the CustomResourceDefinitions that are installed, so that the binary validates by the same.
package crd

import "embed"

// Bases are the definitions as `make manifests` generates them, one file for each kind.
//
//go:embed bases/*.yaml
var Bases embed.FS
