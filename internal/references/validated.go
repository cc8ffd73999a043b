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
	// validatedAtMost bounds how much is known of one namespace, and namespacesAtMost of how many something is.
	validatedAtMost, namespacesAtMost = 64, 256
	// keptAtMost bounds what is kept of what is wrong with each, in bytes.
	keptAtMost = 1024
)

// validations remembers what was wrong with options of exporters and with expressions: that depends on nothing else, and to compile what
// is in them may take a second. An export is looked at whenever one of its runs changes. What is known of one namespace is kept apart, so
// that no tenant has another's forgotten.
type validations struct {
	mu         sync.Mutex
	namespaces *lru.Cache
}

// of returns what is known of a namespace.
func (v *validations) of(namespace string) *lru.Cache {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.namespaces == nil {
		v.namespaces = lru.New(namespacesAtMost)
	}
	known, found := v.namespaces.Get(namespace)
	if !found {
		known = lru.New(validatedAtMost)
		v.namespaces.Add(namespace, known)
	}
	return known.(*lru.Cache)
}

// once returns what a check of some content has found or finds.
func (v *validations) once(namespace, kind string, content []byte, check func() *failure.Error) *failure.Error {
	kept := v.of(namespace)
	key := sha256.Sum256(append(append([]byte(kind), 0), content...))
	if known, found := kept.Get(key); found {
		return known.(*failure.Error)
	}
	failed := check()
	short := failed
	if failed != nil && failed.Cause != nil && len(failed.Cause.Error()) > keptAtMost {
		cut := *failed
		cut.Cause, short = nil, &cut
	}
	kept.Add(key, short)
	return failed
}

// validate returns what is wrong with the options of an exporter, nil if nothing is.
func (v *validations) validate(namespace string, exporter exporters.Exporter, options []byte) *failure.Error {
	return v.once(namespace, "options/"+exporter.Type(), options, func() *failure.Error {
		err := check(exporter, options)
		if err == nil {
			return nil
		}
		failed := failure.Stalled(v1alpha1.ReasonInvalidOptions, err, "spec.exporter.options of the exporter %s: %s", exporter.Type(), err)
		failed.Condition = v1alpha1.ConditionMappingReady
		return failed
	})
}

// CheckSelection is Selection of an export, of which only the error counts.
func (r *Resolver) CheckSelection(export *v1alpha1.AccountingExport) error {
	of := export.Spec.Claims
	if of == nil {
		return nil
	}
	failed := r.validated.once(export.Namespace, "selection", []byte(of.Expression), func() *failure.Error {
		if _, err := Selection(of); err != nil {
			return failure.From(err)
		}
		return nil
	})
	if failed == nil {
		return nil
	}
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
