package claims_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/test/testdb"
)

// shippedMigrations are the hashes of those that databases have run. One that is changed would leave those as they are.
var shippedMigrations = map[int64]string{
	1:  "fe0b506597030f60042cc378da3ef32df4f7f31e646e2599c7faddfc7d52941d",
	2:  "1c0aebf91325e42d716cbd5e30b148b6a7dd6ddea1ac9531c6a5842c2f488f57",
	3:  "399c499032d4c17d8b68ee2f20486ff80900a3b9a1d1adc5a6e9952b9250bd9f",
	4:  "ecf1b1086fd1ef491b2d262ee5ff9008dd80107a8e7292d4818b0bb230f39b23",
	5:  "05cfaa9898ac42cf0f726221e53d085ce28cdaf8fa7ee752098f88c549d473cf",
	6:  "133fb297cb74652fda7f29c5a4d09df61836907d7b83c8291e798b6205387ce7",
	7:  "16788b7362b13eae1226fbaed14eb27f0c6aa95dd60e4ed78c70d0ca4d5b3b9e",
	8:  "cac81a1e02371019e27a46affee0e646a1e66745cdc39e6421bbb197c7662693",
	9:  "53099eec9aabfcd8497e142810b725b16e9053c11a6e9139b9d8feb77be664fa",
	10: "5b17f0d6ec67138febcdd229c32cf1fe212a874069d9919f1d9b561a10cef778",
	11: "fd525bba1b7c125534499d4040c7f6649a2bf92bf51e982abf5a5bc4f906b075",
	12: "a5d3dc9da61193e39de95d26ace61784adac08f54b49d293e26c3882f126ea15",
	13: "6f08cba49a97d70f0cb309771725bfaad5ee8a4bbe12d2cecdf08996d469b68f",
	14: "fab0b8cbfdb81d36eeba443c1b022222e5fddfc84f78ff67a752ab3b8aa19ac1",
	15: "7c44b02debe8b83c1c7c18d630a3f995f1ff44dc3991faf9858e2712eb9194ff",
	16: "643c62ab9b171110b9bcef0d49ce585f9e95e8a1552fdb7d5bf997ff9ea5fb96",
	17: "251d8c75dfdc993552e6a88a6bec12a81747031991034d89f902d3435bf6824b",
}

func TestMigrations(t *testing.T) {
	t.Parallel()
	t.Run("that are shipped stay as they are", func(t *testing.T) {
		t.Parallel()
		for version := int64(1); version <= claims.SchemaVersion; version++ {
			script, err := claims.ReadMigration(version)
			if err != nil {
				t.Fatal(err)
			}
			hash := sha256.Sum256([]byte(script))
			if want := shippedMigrations[version]; hex.EncodeToString(hash[:]) != want {
				t.Errorf("the migration to version %d was changed (%x): add another one instead", version, hash)
			}
		}
	})
	t.Run("happen as a whole or not at all", func(t *testing.T) {
		t.Parallel()
		f := upTo(t, 3)
		f.sql(`CREATE TABLE ledgerport.posted_vouchers (in_the_way int)`)
		database := f.open(v1alpha1.PostgresSource{})
		mustFail(t, database.Migrate(t.Context()), v1alpha1.ReasonDatabaseError)
		if got := f.count(`SELECT max(version_id) FROM ledgerport.schema_version`); got != 3 {
			t.Errorf("the version is %d, want 3", got)
		}
		if posted := f.count(`SELECT count(*) FROM pg_constraint WHERE conname = 'runs_state_check' AND pg_get_constraintdef(oid) LIKE '%posted%'`); posted != 0 {
			t.Error("a part of the migration was left")
		}
		f.sql(`DROP TABLE ledgerport.posted_vouchers`)
		f.must(database.Migrate(t.Context()))
	})
	t.Run("wait for a table that is in use no longer than is bearable", func(t *testing.T) {
		t.Parallel()
		f := upTo(t, 3)
		other, err := pgx.Connect(t.Context(), f.url)
		f.must(err)
		defer func() { _ = other.Close(context.Background()) }()
		_, err = other.Exec(t.Context(), `BEGIN; SELECT FROM ledgerport.runs`)
		f.must(err)
		database := f.open(v1alpha1.PostgresSource{})
		if failed := failureWith(t, database.Migrate(t.Context()), v1alpha1.ReasonDatabaseError); !strings.Contains(failed.Message, "keeps a lock") {
			t.Errorf("%+v", failed)
		}
		_, err = other.Exec(t.Context(), `ROLLBACK`)
		f.must(err)
		f.must(database.Migrate(t.Context()))
	})
	t.Run("are not guessed where their record has gaps", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, applicationTables)
		f.sql(`DELETE FROM ledgerport.schema_version WHERE version_id = 3`)
		database := f.open(v1alpha1.PostgresSource{})
		_, err := database.CheckSchema(t.Context())
		if failed := failureWith(t, err, v1alpha1.ReasonSchemaOutdated); !strings.Contains(failed.Message, "recorded in") {
			t.Errorf("%+v", failed)
		}
		mustFail(t, database.Migrate(t.Context()), v1alpha1.ReasonSchemaOutdated)
	})
	t.Run("go on from where the library before left them", func(t *testing.T) {
		t.Parallel()
		f := upTo(t, 4) // its table of versions is the same
		f.must(f.open(v1alpha1.PostgresSource{}).Migrate(t.Context()))
		if got := f.count(`SELECT max(version_id) FROM ledgerport.schema_version`); got != int(claims.SchemaVersion) {
			t.Errorf("the version is %d, want %d", got, claims.SchemaVersion)
		}
	})
}

// upTo makes a database with the schema as an earlier version left it.
func upTo(t *testing.T, version int64) *fixture {
	t.Helper()
	f := &fixture{TB: t, ctx: t.Context(), url: testdb.New(t)}
	var err error
	f.conn, err = pgx.Connect(f.ctx, f.url)
	f.must(err)
	t.Cleanup(func() { _ = f.conn.Close(context.Background()) })
	f.sql(applicationTables)
	f.migrateTo(version)
	return f
}
