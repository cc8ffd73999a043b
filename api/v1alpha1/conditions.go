package v1alpha1

// Types of conditions. Ready, Reconciling and Stalled follow kstatus: a resource is current when Ready is True, in
// progress while Reconciling is True, and needs a person while Stalled is True.
const (
	// ConditionReady says that the resource does what its spec says.
	ConditionReady = "Ready"
	// ConditionReconciling is present, and True, while work on the resource is under way or will be tried again.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is present, and True, while the resource cannot work until a person changes it.
	ConditionStalled = "Stalled"
	// ConditionCredentialsReady says that every Secret that the resource needs is there, with its keys, and accepted.
	ConditionCredentialsReady = "CredentialsReady"
	// ConditionSourceReady says that the ClaimSource is ready and admits this namespace and organisation.
	ConditionSourceReady = "SourceReady"
	// ConditionMappingReady says that the ChartOfAccounts is ready and the exporter accepts its options.
	ConditionMappingReady = "MappingReady"
	// ConditionDestinationReady says that the ExportDestination can be written.
	ConditionDestinationReady = "DestinationReady"
	// ConditionIndexed says that an index serves the query for approved claims. While it is False its message is the
	// CREATE INDEX statement to run; exports work meanwhile, slowly.
	ConditionIndexed = "Indexed"
	// ConditionIsolated says that row-level security of the database binds the role to one organisation at a time. While it
	// is False that is left to the operator's own queries.
	ConditionIsolated = "Isolated"
	// ConditionEncrypted says that what is read or delivered is encrypted on its way. It is not there where nothing is sent over a
	// network.
	ConditionEncrypted = "Encrypted"
	// ConditionComplete is present, and True, once a run has ended, however it did. Its reason is why.
	ConditionComplete = "Complete"
	// ConditionLastRunSucceeded reports how the newest run of an export has ended: True if it exported what there was, False if it failed,
	// is incomplete or was cancelled. It is absent until a run has ended. Ready does not depend on it.
	ConditionLastRunSucceeded = "LastRunSucceeded"
	// ConditionNotified reports whether the targets of spec.notify take what they are told. It is absent if there are none. Runs do not
	// wait for it.
	ConditionNotified = "Notified"
	// ConditionHistoryPruned is present, and False, while the API server refuses to delete runs beyond the limits of history.
	// Runs begin meanwhile.
	ConditionHistoryPruned = "HistoryPruned"
)

// Reason says in one word why a condition, a run or an event is what it is.
type Reason = string

// Reasons that say that all is well or under way.
const (
	// ReasonReady: everything that was checked works.
	ReasonReady Reason = "Ready"
	// ReasonSucceeded: the run delivered its artifact and recorded its claims.
	ReasonSucceeded Reason = "Succeeded"
	// ReasonNoClaims: the run succeeded with nothing to export.
	ReasonNoClaims Reason = "NoClaims"
	// ReasonAllHeld: the run succeeded, and every approved claim was held.
	ReasonAllHeld Reason = "AllHeld"
	// ReasonReversed: the reversal delivered its artifact and freed the claims of the run that it reverses.
	ReasonReversed Reason = "Reversed"
	// ReasonPreviewed: the preview delivered what an export would deliver, and recorded nothing.
	ReasonPreviewed Reason = "Previewed"
	// ReasonAwaitingApproval: the run delivers nothing before another person than who asked for it has approved it.
	ReasonAwaitingApproval Reason = "AwaitingApproval"
	// ReasonChecking: something that is referred to was not checked yet.
	ReasonChecking Reason = "Checking"
	// ReasonRunning: an attempt is under way.
	ReasonRunning Reason = "Running"
	// ReasonReleasing: the run gives its claims back before it ends.
	ReasonReleasing Reason = "Releasing"
	// ReasonQueued: the run waits for a free place among --max-concurrent-runs.
	ReasonQueued Reason = "Queued"
	// ReasonSuspended: spec.suspend is true.
	ReasonSuspended Reason = "Suspended"
	// ReasonCancelled: a person cancelled the run.
	ReasonCancelled Reason = "Cancelled"
	// ReasonDeleting: the export is being deleted, and waits for its runs to give their claims back.
	ReasonDeleting Reason = "Deleting"
	// ReasonIndexed: an index serves the query.
	ReasonIndexed Reason = "Indexed"
)

// Reasons of an AccountingExport and its references.
const (
	// ReasonSourceNotFound: the ClaimSource does not exist.
	ReasonSourceNotFound Reason = "SourceNotFound"
	// ReasonLedgerIncomplete: the ledger in the database knows less than this cluster has seen of it.
	ReasonLedgerIncomplete Reason = "LedgerIncomplete"
	// ReasonLedgerChanged: the ledger in the database is another one than before, and nobody has accepted it.
	ReasonLedgerChanged Reason = "LedgerChanged"
	// ReasonLedgerMoved: the ledger is on another server than it belongs to, and nobody has accepted that.
	ReasonLedgerMoved Reason = "LedgerMoved"
	// ReasonAccessDenied: the ClaimSource does not admit this namespace, or not for this organisation; or the
	// ExportDestination does not admit this namespace.
	ReasonAccessDenied Reason = "AccessDenied"
	// ReasonChartNotFound: the ChartOfAccounts does not exist.
	ReasonChartNotFound Reason = "ChartNotFound"
	// ReasonInvalidChart: an account that is not defined, a tax code that is not defined, or an expression that does not compile.
	ReasonInvalidChart Reason = "InvalidChart"
	// ReasonDestinationNotFound: the ExportDestination does not exist.
	ReasonDestinationNotFound Reason = "DestinationNotFound"
	// ReasonUnknownExporter: no exporter of this type is built into the operator.
	ReasonUnknownExporter Reason = "UnknownExporter"
	// ReasonInvalidOptions: the exporter refuses its options.
	ReasonInvalidOptions Reason = "InvalidOptions"
	// ReasonInvalidSchedule: spec.schedule is not a cron expression.
	ReasonInvalidSchedule Reason = "InvalidSchedule"
	// ReasonScheduleTooFrequent: spec.schedule has slots closer to each other than the operator allows.
	ReasonScheduleTooFrequent Reason = "ScheduleTooFrequent"
	// ReasonTypeNotAllowed: the operator does not allow exporters, or destinations, of this type.
	ReasonTypeNotAllowed Reason = "TypeNotAllowed"
	// ReasonInvalidSelection: spec.claims.expression does not compile.
	ReasonInvalidSelection Reason = "InvalidSelection"
	// ReasonInvalidTimeZone: spec.timeZone is not a zone of the tz database.
	ReasonInvalidTimeZone Reason = "InvalidTimeZone"
	// ReasonPeriodNotOpen: spec.posting.openFrom is after the cutoff of the run.
	ReasonPeriodNotOpen Reason = "PeriodNotOpen"
	// ReasonApprovalNotEnforced: an approval is required, and the API server does not refuse one that is forged.
	ReasonApprovalNotEnforced Reason = "ApprovalNotEnforced"
	// ReasonRequesterUnknown: an approval is required, and nobody is named who asked for the run.
	ReasonRequesterUnknown Reason = "RequesterUnknown"
	// ReasonApprovalExpired: nobody has approved the run in time.
	ReasonApprovalExpired Reason = "ApprovalExpired"
	// ReasonInvalidSpec: another field has a value that can never work.
	ReasonInvalidSpec Reason = "InvalidSpec"
	// ReasonLastRunFailed: the export is sound, and its newest run failed.
	ReasonLastRunFailed Reason = "LastRunFailed"
	// ReasonLastRunIncomplete: the export is sound, and the accounting system has a part of its newest run.
	ReasonLastRunIncomplete Reason = "LastRunIncomplete"
	// ReasonExportNotFound: the AccountingExport that a run names does not exist.
	ReasonExportNotFound Reason = "ExportNotFound"
	// ReasonRunNameTaken: an ExportRun of the name that the next run needs exists, and does not belong to the export.
	ReasonRunNameTaken Reason = "RunNameTaken"
	// ReasonSlotSkipped: a slot was missed for longer than spec.startingDeadline.
	ReasonSlotSkipped Reason = "SlotSkipped"
)

// Reasons of the API server.
const (
	// ReasonRequestRefused: the API server refuses a request of the operator: a quota, a policy, a webhook, or a right that it
	// does not have any more.
	ReasonRequestRefused Reason = "RequestRefused"
)

// Reasons of credentials.
const (
	// ReasonExternalSecretsNotInstalled: an ExternalSecret is named, and the cluster does not have that kind.
	ReasonExternalSecretsNotInstalled Reason = "ExternalSecretsNotInstalled"
	// ReasonExternalSecretNotFound: the ExternalSecret does not exist.
	ReasonExternalSecretNotFound Reason = "ExternalSecretNotFound"
	// ReasonExternalSecretUnreadable: the operator may not read the ExternalSecret.
	ReasonExternalSecretUnreadable Reason = "ExternalSecretUnreadable"
	// ReasonExternalSecretNotReady: the ExternalSecret says that it is not synced, or nothing yet.
	ReasonExternalSecretNotReady Reason = "ExternalSecretNotReady"
	// ReasonExternalSecretStale: the newest sync of the ExternalSecret is older than maxAge.
	ReasonExternalSecretStale Reason = "ExternalSecretStale"
	// ReasonEnvironmentFallback: the store of the credentials is broken, and they are taken from the operator's environment.
	ReasonEnvironmentFallback Reason = "EnvironmentFallback"
	// ReasonCredentialsRequired: the exporter needs credentials, and the export names none; or the bucket does, and the
	// ExportDestination names none.
	ReasonCredentialsRequired Reason = "CredentialsRequired"
	// ReasonSecretNotFound: the Secret does not exist.
	ReasonSecretNotFound Reason = "SecretNotFound"
	// ReasonSecretKeyMissing: the Secret lacks the key, or the key is empty.
	ReasonSecretKeyMissing Reason = "SecretKeyMissing"
	// ReasonSecretUnreadable: the operator may not read the Secret.
	ReasonSecretUnreadable Reason = "SecretUnreadable"
	// ReasonSecretTypeRefused: the Secret is of a type that is for another purpose, such as the token of a service account.
	ReasonSecretTypeRefused Reason = "SecretTypeRefused"
	// ReasonMalformedURL: the Secret's value is not a PostgreSQL connection URL.
	ReasonMalformedURL Reason = "MalformedURL"
	// ReasonInsecureConnection: the connection is not encrypted, or the server not known by its certificate, or it wants the
	// password in a way that gives it away.
	ReasonInsecureConnection Reason = "InsecureConnection"
	// ReasonMalformedKey: the Secret's value is no private key, or its passphrase does not open it.
	ReasonMalformedKey Reason = "MalformedKey"
	// ReasonLoginRefused: the database or the destination refused the credentials.
	ReasonLoginRefused Reason = "LoginRefused"
)

// Reasons of hosts.
const (
	// ReasonHostNotAllowed: the host is not among the operator's --allowed-hosts, or leads to an address that is refused.
	ReasonHostNotAllowed Reason = "HostNotAllowed"
)

// Reasons of databases.
const (
	// ReasonDatabaseUnreachable: no connection, or none in time.
	ReasonDatabaseUnreachable Reason = "DatabaseUnreachable"
	// ReasonDatabaseNotFound: the server has no database of that name.
	ReasonDatabaseNotFound Reason = "DatabaseNotFound"
	// ReasonSpoolFull: the operator's spool directory has no room for the artifact.
	ReasonSpoolFull Reason = "SpoolFull"
	// ReasonAnswerTooLarge: a server sends more than anything that is meant.
	ReasonAnswerTooLarge Reason = "AnswerTooLarge"
	// ReasonDatabaseError: the database refused a statement.
	ReasonDatabaseError Reason = "DatabaseError"
	// ReasonPermissionDenied: the role lacks a right.
	ReasonPermissionDenied Reason = "PermissionDenied"
	// ReasonTableNotFound: a table that the ClaimSource names does not exist.
	ReasonTableNotFound Reason = "TableNotFound"
	// ReasonColumnMismatch: a column is missing or of a type that cannot hold what it should.
	ReasonColumnMismatch Reason = "ColumnMismatch"
	// ReasonClaimTableAmbiguous: what is recorded says two things about which table the claims are in.
	ReasonClaimTableAmbiguous Reason = "ClaimTableAmbiguous"
	// ReasonClaimIDsChanged: the ids of claims are not those by which they were exported.
	ReasonClaimIDsChanged Reason = "ClaimIDsChanged"
	// ReasonSchemaOutdated: the schema "ledgerport" is missing or old, and manageSchema is false.
	ReasonSchemaOutdated Reason = "SchemaOutdated"
	// ReasonMigrating: the operator brings the schema "ledgerport" to the version that it needs.
	ReasonMigrating Reason = "Migrating"
	// ReasonSchemaTooNew: a newer operator has migrated the schema "ledgerport".
	ReasonSchemaTooNew Reason = "SchemaTooNew"
	// ReasonSchemaNotTrusted: others than its owner and the operator's role may write the schema "ledgerport".
	ReasonSchemaNotTrusted Reason = "SchemaNotTrusted"
	// ReasonReadOnlyDatabase: the database cannot be written: it is a standby, or the session only reads.
	ReasonReadOnlyDatabase Reason = "ReadOnlyDatabase"
	// ReasonUnsuitableSessions: a run needs two sessions at once, on one server, and does not get them.
	ReasonUnsuitableSessions Reason = "UnsuitableSessions"
	// ReasonUnsuitableEncoding: a text cannot be converted between the encoding of the database and UTF-8.
	ReasonUnsuitableEncoding Reason = "UnsuitableEncoding"
	// ReasonForeignRows: the policies of row-level security let the role see rows that are not the organisation's.
	ReasonForeignRows Reason = "ForeignRows"
	// ReasonIndexMissing: no index serves the query for approved claims.
	ReasonIndexMissing Reason = "IndexMissing"
	// ReasonRowSecurity: policies of row-level security bind the role.
	ReasonRowSecurity Reason = "RowSecurity"
	// ReasonNoRowSecurity: the role is bound by no policy: it is a superuser, has BYPASSRLS, owns the tables, or they have none.
	ReasonNoRowSecurity Reason = "NoRowSecurity"
	// ReasonSeriesBusy: another run of the organisation uses the voucher series.
	ReasonSeriesBusy Reason = "SeriesBusy"
	// ReasonOtherCluster: the run is recorded by another cluster.
	ReasonOtherCluster Reason = "OtherCluster"
	// ReasonFenced: another process took the run over.
	ReasonFenced Reason = "Fenced"
	// ReasonRecordInvalid: a row of the schema "ledgerport" is not one that Ledgerport writes.
	ReasonRecordInvalid Reason = "RecordInvalid"
	// ReasonReservationConflict: another run reserved some of the same claims at the same time.
	ReasonReservationConflict Reason = "ReservationConflict"
)

// Reasons of destinations.
const (
	// ReasonDestinationUnreachable: no connection, or none in time.
	ReasonDestinationUnreachable Reason = "DestinationUnreachable"
	// ReasonBucketNotFound: the bucket does not exist.
	ReasonBucketNotFound Reason = "BucketNotFound"
	// ReasonPathNotFound: the server has no directory of that path.
	ReasonPathNotFound Reason = "PathNotFound"
	// ReasonHostKeyMismatch: the server's host key is none of those that the ExportDestination names.
	ReasonHostKeyMismatch Reason = "HostKeyMismatch"
	// ReasonNotWritable: the destination refused to take a file.
	ReasonNotWritable Reason = "NotWritable"
	// ReasonDestinationFull: the destination has no room left.
	ReasonDestinationFull Reason = "DestinationFull"
	// ReasonDestinationChanged: the export's destination was changed while a run was delivering to another.
	ReasonDestinationChanged Reason = "DestinationChanged"
	// ReasonNotRemovable: the destination does not let a file be removed.
	ReasonNotRemovable Reason = "NotRemovable"
	// ReasonNotEncrypted: the connection is not encrypted.
	ReasonNotEncrypted Reason = "NotEncrypted"
	// ReasonEncrypted: the connection is encrypted.
	ReasonEncrypted Reason = "Encrypted"
	// ReasonArtifactConflict: the destination holds another file under the run's name.
	ReasonArtifactConflict Reason = "ArtifactConflict"
)

// Reasons of receipts.
const (
	// ReasonReceiptsUnreadable: the store of the receipts cannot be reached, or does not let them be read.
	ReasonReceiptsUnreadable Reason = "ReceiptsUnreadable"
	// ReasonReceiptMissing: a receipt that an export requires is not in its store any more.
	ReasonReceiptMissing Reason = "ReceiptMissing"
)

// Reasons of notifications.
const (
	// ReasonTargetUnreachable: no connection with the target of a notification, or none in time.
	ReasonTargetUnreachable Reason = "TargetUnreachable"
	// ReasonTargetRefused: the target of a notification did not take it.
	ReasonTargetRefused Reason = "TargetRefused"
	// ReasonTargetGone: the target of a notification says that it wants no more.
	ReasonTargetGone Reason = "TargetGone"
	// ReasonNotificationDropped: an event of notifications that a target did not take in time is not sent any more.
	ReasonNotificationDropped Reason = "NotificationDropped"
)

// Reasons of runs.
const (
	// ReasonUnmappedClaim: a line matches no rule, and the chart says Fail.
	ReasonUnmappedClaim Reason = "UnmappedClaim"
	// ReasonTotalsMismatch: what was rendered is not what the database says of the reserved claims.
	ReasonTotalsMismatch Reason = "TotalsMismatch"
	// ReasonArtifactRemoved: the run was deleted, and its artifact was removed with it.
	ReasonArtifactRemoved Reason = "ArtifactRemoved"
	// ReasonArtifactKept: the run is deleted, and goes when its artifact is as old as its destination wants.
	ReasonArtifactKept Reason = "ArtifactKept"
	// ReasonBytesChanged: a resumed run rendered other bytes than those recorded.
	ReasonBytesChanged Reason = "BytesChanged"
	// ReasonInputsRefused: this operator refuses what an earlier version recorded when the run began.
	ReasonInputsRefused Reason = "InputsRefused"
	// ReasonDeadlineExceeded: the attempt took longer than spec.deadline.
	ReasonDeadlineExceeded Reason = "DeadlineExceeded"
	// ReasonReleased: the run's claims were given back before, so that another run could take them.
	ReasonReleased Reason = "Released"
	// ReasonInterrupted: the process that executed the attempt was stopped.
	ReasonInterrupted Reason = "Interrupted"
	// ReasonPlacePassedOn: the attempt made room for runs of namespaces that had no place.
	ReasonPlacePassedOn Reason = "PlacePassedOn"
	// ReasonExporterFailed: the exporter could not write the artifact.
	ReasonExporterFailed Reason = "ExporterFailed"
	// ReasonSystemUnreachable: the accounting system did not answer.
	ReasonSystemUnreachable Reason = "SystemUnreachable"
	// ReasonSystemTimeout: a connection to the accounting system, or its answer, took too long.
	ReasonSystemTimeout Reason = "SystemTimeout"
	// ReasonSystemRefused: the accounting system refused a request as a whole.
	ReasonSystemRefused Reason = "SystemRefused"
	// ReasonOutcomeUnknown: the accounting system may have taken a voucher and has not confirmed it; the next attempt looks.
	ReasonOutcomeUnknown Reason = "OutcomeUnknown"
	// ReasonVouchersRejected: the accounting system rejected vouchers; their claims are held with its words.
	ReasonVouchersRejected Reason = "VouchersRejected"
	// ReasonClaimsHeld: a run left claims out; an event names them.
	ReasonClaimsHeld Reason = "ClaimsHeld"
	// ReasonRecovered: an event of a run that was applied again, and had ended before.
	ReasonRecovered Reason = "Recovered"
	// ReasonRunNotFound: the run that a reversal names is not recorded in this namespace and organisation.
	ReasonRunNotFound Reason = "RunNotFound"
	// ReasonRunNotCommitted: the run that a reversal names is not finished, or was released.
	ReasonRunNotCommitted Reason = "RunNotCommitted"
	// ReasonReversesOtherExport: the run that a reversal names belongs to another export.
	ReasonReversesOtherExport Reason = "ReversesOtherExport"
	// ReasonReversesReversal: the run that a reversal names is a reversal.
	ReasonReversesReversal Reason = "ReversesReversal"
	// ReasonNothingToReverse: the run that a reversal names has no vouchers.
	ReasonNothingToReverse Reason = "NothingToReverse"
	// ReasonNotReversible: the exporter sends vouchers to an accounting system, and they are reversed there; or the run has adopted claims.
	ReasonNotReversible Reason = "NotReversible"
	// ReasonClaimNotExported: the run that a reversal names did not export a claim that it names.
	ReasonClaimNotExported Reason = "ClaimNotExported"
	// ReasonAlreadyReversed: the run that a reversal names, or a claim of it that it names, is reversed by another.
	ReasonAlreadyReversed Reason = "AlreadyReversed"
	// ReasonRedelivered: the redelivery put the artifact of another run at its destination.
	ReasonRedelivered Reason = "Redelivered"
	// ReasonNotRedeliverable: the run that a redelivery names delivered nothing, or its bytes cannot be made again.
	ReasonNotRedeliverable Reason = "NotRedeliverable"
	// ReasonTooManyRuns: the export has as many unfinished runs as the operator allows.
	ReasonTooManyRuns Reason = "TooManyRuns"
	// ReasonAttemptLost: attempts ended with the operator's process, which was killed, ran out of memory or crashed.
	ReasonAttemptLost Reason = "AttemptLost"
	// ReasonPanicked: a fault in the program ended the attempt; the operator's log has the stack.
	ReasonPanicked Reason = "Panicked"
	// ReasonAttemptStuck: the attempt went on after its deadline, and nobody waits for it any more.
	ReasonAttemptStuck Reason = "AttemptStuck"
	// ReasonAttemptRefused: the API server refused the Job of the attempt.
	ReasonAttemptRefused Reason = "AttemptRefused"
	// ReasonAttemptNotStarted: the pod of the attempt was not made, or did not start, in time.
	ReasonAttemptNotStarted Reason = "AttemptNotStarted"
	// ReasonAttemptUnschedulable: no node had room for the pod of the attempt in time.
	ReasonAttemptUnschedulable Reason = "AttemptUnschedulable"
	// ReasonAttemptImageUnavailable: the image of the attempt's pod could not be pulled in time.
	ReasonAttemptImageUnavailable Reason = "AttemptImageUnavailable"
	// ReasonAttemptOutOfMemory: the attempt needed more memory than its pod may have.
	ReasonAttemptOutOfMemory Reason = "AttemptOutOfMemory"
	// ReasonAttemptEvicted: the pod of the attempt was evicted, preempted or stopped.
	ReasonAttemptEvicted Reason = "AttemptEvicted"
	// ReasonAttemptGone: the pod or the Job of the attempt was deleted, or was gone with its node.
	ReasonAttemptGone Reason = "AttemptGone"
	// ReasonAttemptCrashed: the program of the attempt ended without saying why.
	ReasonAttemptCrashed Reason = "AttemptCrashed"
	// ReasonAttemptUnconfirmed: the attempt says that it has ended well, and its record does not.
	ReasonAttemptUnconfirmed Reason = "AttemptUnconfirmed"
	// ReasonUndecodable: the API server stored a value that the operator cannot decode, before a rule of the schema refused it.
	ReasonUndecodable Reason = "Undecodable"
	// ReasonInternal: an error that no other reason describes.
	ReasonInternal Reason = "InternalError"
)
