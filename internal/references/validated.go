package references

import (
	"crypto/sha256"
	"fmt"
	"sync"

	"k8s.io/utils/lru"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/nesting"
)

const (
	// validatedAtMost bounds how many options are known.
	validatedAtMost = 1024
	// keptAtMost bounds what is kept of what is wrong with each, in bytes.
	keptAtMost = 4096
)

// validations remembers what exporters have said of options: that depends on nothing else, and to compile what is in them may
// take a second. An export is looked at whenever one of its runs changes.
type validations struct {
	once  sync.Once
	known *lru.Cache
}

// validate returns what is wrong with the options of an exporter, nil if nothing is.
func (v *validations) validate(exporter exporters.Exporter, options []byte) *failure.Error {
	v.once.Do(func() { v.known = lru.New(validatedAtMost) })
	key := sha256.Sum256(append(append([]byte(exporter.Type()), 0), options...))
	if known, found := v.known.Get(key); found {
		return known.(*failure.Error)
	}
	var failed *failure.Error
	if err := check(exporter, options); err != nil {
		failed = failure.Stalled(v1alpha1.ReasonInvalidOptions, err, "spec.exporter.options of the exporter %s: %s", exporter.Type(), err)
		failed.Condition = v1alpha1.ConditionMappingReady
	}
	kept := failed
	if failed != nil && len(failed.Cause.Error()) > keptAtMost {
		short := *failed
		short.Cause, kept = nil, &short
	}
	v.known.Add(key, kept)
	return failed
}

// mostLevels bounds how many lists and objects are within each other in options. What is nested much deeper is not read from the API
// server at all.
const mostLevels = 100

// check asks the exporter about options that it can read.
func check(exporter exporters.Exporter, options []byte) error {
	if nesting.Depth(options) > mostLevels {
		return &exporters.OptionError{Problem: fmt.Sprintf("the options are nested deeper than %d levels", mostLevels)}
	}
	return exporter.Validate(options)
}
