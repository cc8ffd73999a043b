package expression_test

import (
	"testing"

	"github.com/ledgerport/ledgerport/test/expressiontest"
)

func TestEveryCallEndsWithItsContext(t *testing.T) {
	t.Parallel()
	expressiontest.EveryCallEnds(t)
}
