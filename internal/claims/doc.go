// Package claims reads approved expense claims from an application's PostgreSQL database, and keeps the life of every run
// in Ledgerport's own schema "ledgerport" of the same database. All SQL of the product is here.
//
// A run goes started → rendered → delivered → committed, with submitted before delivered where vouchers are sent to an accounting
// system, or ends as released: see RunState. Every step names the run and its attempt number (a Fence); a step of an older
// attempt changes nothing. Reserving and rendering usually share one pass
// over the claims: see Database.Reserve.
//
// Errors are *failure.Error, or wrap the context's error where the context has ended. They quote no content of claims, no
// password and no connection URL.
package claims
