package expression

import (
	"strings"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/ext"
)

// textFunctions are those on texts that CEL has beside its own. replace and join, which multiply texts, look first at the length of
// what they would make. Version 4 of CEL's own is the last without prices of its own. Expressions with format, which makes any text of a few characters, are refused.
func textFunctions() []cel.EnvOption {
	return []cel.EnvOption{ext.Strings(ext.StringsVersion(4)), replaceFunction(), joinFunction()}
}

func replaceFunction() cel.EnvOption {
	replace := cel.FunctionBinding(func(arguments ...ref.Val) ref.Val {
		text, old, replacement := text(arguments[0]), text(arguments[1]), text(arguments[2])
		times := strings.Count(text, old)
		if old == "" {
			times = utf8.RuneCountInString(text) + 1
		}
		if len(arguments) == 4 {
			if limit := int64(arguments[3].(types.Int)); limit >= 0 {
				times = int(min(int64(times), limit))
			}
		}
		if len(text)+times*(len(replacement)-len(old)) > maxText {
			return tooLong()
		}
		return types.String(strings.Replace(text, old, replacement, times))
	})
	return cel.Function("replace",
		cel.MemberOverload("string_replace_string_string", []*cel.Type{String, String, String}, String, replace),
		cel.MemberOverload("string_replace_string_string_int", []*cel.Type{String, String, String, Int}, String, replace))
}

func joinFunction() cel.EnvOption {
	join := func(list, separator ref.Val) ref.Val {
		var parts []string
		size := 0
		for each := list.(traits.Lister).Iterator(); each.HasNext() == types.True; {
			part, is := each.Next().(types.String)
			if size += len(part) + len(text(separator)); !is || size > maxText {
				return tooLong()
			}
			parts = append(parts, string(part))
		}
		return types.String(strings.Join(parts, text(separator)))
	}
	return cel.Function("join",
		cel.MemberOverload("list_join", []*cel.Type{Strings}, String, cel.UnaryBinding(func(list ref.Val) ref.Val { return join(list, types.String("")) })),
		cel.MemberOverload("list_join_string", []*cel.Type{Strings, String}, String, cel.BinaryBinding(join)))
}

func text(value ref.Val) string { return string(value.(types.String)) }

// tooLong is what a function returns in place of a text that is longer than any evaluation may pay for.
func tooLong() ref.Val {
	return types.NewErr("cost limit exceeded: a text of more than %d bytes", maxText)
}
