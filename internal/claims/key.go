package claims

import (
	"fmt"
	"strings"
)

// claimKey is a claim's id by its value, so that neither another type of the column nor another spelling makes another
// claim of it: a uuid in lower case with hyphens, an integer without sign and zeros that say nothing, anything else as it is.
// It is what key says in SQL. 32 digits are a uuid, as they are to PostgreSQL, unless a sign or a zero before them says that they are an integer.
func claimKey(id string) string {
	if uuid, is := uuidKey(id); is {
		return uuid
	}
	if number, is := integerKey(id); is {
		return number
	}
	return id
}

// claimKeys are the keys of claims by their ids.
func claimKeys(ids []string) []string {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = claimKey(id)
	}
	return keys
}

const (
	uuidDigits = 32
	// longestInteger bounds the integers that are read by their value.
	longestInteger = 1000
)

// uuidKey reads a uuid as PostgreSQL does: a hyphen may follow every fourth digit, and braces may enclose all.
func uuidKey(id string) (string, bool) {
	text, opened := strings.CutPrefix(id, "{")
	text, closed := strings.CutSuffix(text, "}")
	if opened != closed || len(text) < uuidDigits || len(text) > uuidDigits+7 {
		return "", false
	}
	key := make([]byte, 0, uuidDigits+4)
	digits, hyphen := 0, true // none may come first
	for i := range len(text) {
		c := text[i]
		switch {
		case c == '-' && !hyphen && digits%4 == 0 && digits < uuidDigits:
			hyphen = true
			continue
		case c >= 'A' && c <= 'F':
			c += 'a' - 'A'
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f':
		default:
			return "", false
		}
		hyphen = false
		if digits == 8 || digits == 12 || digits == 16 || digits == 20 {
			key = append(key, '-')
		}
		key = append(key, c)
		digits++
	}
	if string(key) == id {
		return id, digits == uuidDigits
	}
	return string(key), digits == uuidDigits
}

// integerKey reads an integer of any size.
func integerKey(id string) (string, bool) {
	digits := strings.TrimLeft(id, "+-")
	if digits == "" || len(id)-len(digits) > 1 || len(id) > longestInteger || strings.Trim(digits, "0123456789") != "" {
		return "", false
	}
	digits = strings.TrimLeft(digits, "0")
	switch {
	case digits == "":
		return "0", true
	case id[0] == '-':
		return "-" + digits, true
	}
	return digits, true
}

const (
	uuidText    = "[0-9a-fA-F]{4}(-?[0-9a-fA-F]{4}){7}"
	uuidForm    = "'^(" + uuidText + "|[{]" + uuidText + "[}])$'"
	integerForm = "'^[+-]?[0-9]+$'"
)

// key is claimKey of an expression in SQL that is text.
func key(id string) string {
	return fmt.Sprintf(`(CASE WHEN %[1]s COLLATE "C" ~ %[2]s THEN %[1]s::uuid::text
		WHEN %[1]s COLLATE "C" ~ %[3]s AND length(%[1]s) <= %[4]d THEN %[1]s::numeric::text ELSE %[1]s END COLLATE "C")`,
		id, uuidForm, integerForm, longestInteger)
}

// readByValue reports whether a type writes its values in one way alone, which is that of a key.
func readByValue(typeName string) bool { return typeFamily(typeName) != textFamily }

// Families of the types of ids: what one holds can be what another of its family does.
const (
	uuidFamily    = "uuid"
	integerFamily = "an integer type"
	textFamily    = "text"
)

func typeFamily(typeName string) string {
	switch typeName {
	case "uuid":
		return uuidFamily
	case "int2", "int4", "int8":
		return integerFamily
	}
	return textFamily
}
