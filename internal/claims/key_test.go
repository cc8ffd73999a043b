package claims_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/internal/claims"
)

func TestClaimKey_IsTheValueOfAnID(t *testing.T) {
	t.Parallel()
	const uuid = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
	for id, want := range map[string]string{
		uuid: uuid, "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11": uuid, "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}": uuid,
		"a0eebc999c0b4ef8bb6d6bb9bd380a11": uuid, "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11": uuid, "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}": uuid,
		"{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11": "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99--9c0b4ef8bb6d6bb9bd380a11": "a0eebc99--9c0b4ef8bb6d6bb9bd380a11",
		"-a0eebc999c0b4ef8bb6d6bb9bd380a11": "-a0eebc999c0b4ef8bb6d6bb9bd380a11", "a0eebc999c0b4ef8bb6d6bb9bd380a11-": "a0eebc999c0b4ef8bb6d6bb9bd380a11-",
		"7": "7", "007": "7", "+7": "7", "-007": "-7", "-0": "0", "000": "0", "--7": "--7", "7\x20": "7\x20", "7.0": "7.0", "1e3": "1e3", "": "", "-": "-",
		"99999999999999999999999999999999999999999": "99999999999999999999999999999999999999999", "00000000000000000000000000000007": "00000000-0000-0000-0000-000000000007",
		"030000003000000300000030000000000": "30000003000000300000030000000000", "+30000003000000300000030000000000": "30000003000000300000030000000000",
		"abc": "abc", "ABC": "ABC", "٣": "٣", "7\n": "7\n",
	} {
		if got := claims.ClaimKey(id); got != want {
			t.Errorf("the key of %q is %q, want %q", id, got, want)
		}
	}
}

// TestClaimKey_IsTheSameInSQL compares both on ids that are nearly, and sometimes, uuids and integers.
func TestClaimKey_IsTheSameInSQL(t *testing.T) {
	t.Parallel()
	f := newFixture(t, "")
	random := rand.New(rand.NewPCG(1, 2))
	ids := []string{"", "{}", "-", strings.Repeat("0", 1000), strings.Repeat("0", 1001), strings.Repeat("9", 2000)}
	pick := func(alphabet string, most int) string {
		var id strings.Builder
		for range random.IntN(most + 1) {
			id.WriteByte(alphabet[random.IntN(len(alphabet))])
		}
		return id.String()
	}
	for range 3000 {
		var id strings.Builder
		for group := range 8 {
			if random.IntN(3) == 0 && group > 0 {
				id.WriteByte('-')
			}
			id.WriteString((pick("0123456789abcdefABCDEF", 3) + "00aF")[:4])
		}
		whole := id.String()
		switch random.IntN(6) {
		case 0:
			whole = "{" + whole + "}"
		case 1:
			at := random.IntN(len(whole))
			whole = whole[:at] + pick("-{}0aG ", 2) + whole[at+1:]
		}
		ids = append(ids, whole, pick("+-", 1)+pick("0123456789", 12), pick("+-0123456789 .\n٣", 4), pick("0a-{}", 40))
	}
	rows, err := f.conn.Query(t.Context(), `SELECT i.id, `+claims.KeySQL("i.id")+` FROM unnest($1::text[]) AS i (id)`, validTexts(ids))
	f.must(err)
	defer rows.Close()
	n := 0
	for rows.Next() {
		var id, key string
		f.must(rows.Scan(&id, &key))
		if got := claims.ClaimKey(id); got != key {
			t.Errorf("the key of %q is %q, and in SQL %q", id, got, key)
		}
		n++
	}
	f.must(rows.Err())
	if n != len(ids) {
		t.Errorf("compared %d ids of %d", n, len(ids))
	}
}

func validTexts(texts []string) []string {
	valid := make([]string, len(texts))
	for i, text := range texts {
		valid[i] = strings.ToValidUTF8(text, "?")
	}
	return valid
}

func FuzzClaimKey(f *testing.F) {
	f.Add("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")
	f.Add("{A0EEBC999C0B4EF8BB6D6BB9BD380A11}")
	f.Add("-007")
	f.Add("030000003000000300000030000000000")
	f.Fuzz(func(t *testing.T, id string) {
		key := claims.ClaimKey(id)
		digits := len(key) == 32 && strings.Trim(key, "0123456789") == "" // of an integer with a sign or a zero before it
		if again := claims.ClaimKey(key); again != key && !digits {
			t.Errorf("the key of %q is %q, and the key of that is %q", id, key, again)
		}
	})
}
