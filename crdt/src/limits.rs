//! Every bound on what a peer, a file or a user can make us hold or do. Named here and nowhere
//! else; each says where its figure comes from.

/// Longest frame of a session, in bytes, its 4-byte length excluded. Room for one envelope of the
/// largest payload. // guess: the largest single FHIR resource we accept, plus headers
pub const FRAME_BYTES_MAX: usize = 1_310_720;

/// Longest payload of an envelope (sealed), in bytes. // guess: one photo of 200 kB as base64 and
/// ample room
pub const PAYLOAD_BYTES_MAX: usize = 1_179_648;

/// Longest plaintext of a payload after decompression, in bytes. Bounds what a hostile author can
/// make a reader inflate. // guess
pub const PLAINTEXT_BYTES_MAX: usize = 4_194_304;

/// Longest single FHIR resource, in bytes of JSON. // guess: 1 MB less room for the envelope
pub const RESOURCE_BYTES_MAX: usize = 1_048_576;

/// Longest text that is kept of why a facility refused a resource, in bytes. // guess: some issues of
/// an OperationOutcome
pub const FAILURE_BYTES_MAX: usize = 2_048;

/// Longest raw change, in bytes: what surely fits one payload, even incompressible, with room for
/// the envelope's own fields.
pub const CHANGE_BYTES_MAX: usize = PAYLOAD_BYTES_MAX - 16_384;

/// Most operations (keys put) in one change. // guess: a bundle of a person's whole history
pub const CHANGE_OPS_MAX: usize = 8_192;

/// Most dependencies of one change, and most foreign actors it names. // one per key it edits
pub const CHANGE_DEPS_MAX: usize = CHANGE_OPS_MAX;

/// Longest key, in bytes. // guess: a visit's uuid and a long field, or a long identifier system
pub const KEY_BYTES_MAX: usize = 512;

/// Longest name of a worker, in bytes. // guess
pub const WORKER_BYTES_MAX: usize = 128;

/// Largest file that `import` reads, in bytes. // guess: ten years of one village
pub const IMPORT_BYTES_MAX: usize = 268_435_456;

/// Deepest nesting of a JSON document that `import` accepts (serde_json's own limit is 128).
pub const JSON_DEPTH_MAX: usize = 64;

/// Most items (changes) in one envelope. // guess
pub const ENVELOPE_ITEMS_MAX: usize = 256;

/// Changes that make an envelope full, so that it is sealed without waiting for more.
/// // measured (storage reference): eight changes per envelope beat one by five
pub const ENVELOPE_ITEMS_TARGET: usize = 8;

/// Plaintext bytes that make an envelope full. // guess: half of a batch on a fast link
pub const ENVELOPE_BYTES_TARGET: usize = 32_768;

/// Longest card, in bytes (design section 4).
pub const CARD_BYTES_MAX: usize = 200;

/// Longest body of a control statement, in bytes. // guess: a receipt with 64 ranges
pub const STATEMENT_BYTES_MAX: usize = 8_192;

/// Most statements in force of one issuer. A flooding member fills its own share, no more.
/// // guess: a hub's receipts for every log it ever sees
pub const STATEMENTS_PER_ISSUER_MAX: usize = 131_072;

/// The same, of a worker's device or a relay: it opens logs, and proves forks, and that is all.
/// // guess: an opening for each area and each of some hundred incarnations
pub const STATEMENTS_PER_WORKER_MAX: usize = 4_096;
/// Most bytes of envelopes kept of all logs of one certificate. A flooding member fills its own
/// share, no more: what is beyond is not kept, and the operator is told. // guess: a hundred years
/// of one village at the measured 2 to 4 MB a year (design section 4)
pub const BYTES_PER_AUTHOR_MAX: u64 = 268_435_456;
/// Of them, most of kinds that this version carries unread. // guess: a later version's revocations
pub const UNREAD_PER_ISSUER_MAX: usize = 1_024;

/// Most spans held of one log: an author who leaves more holes is not followed into them.
/// // guess: urgent envelopes that overtook, many times over
pub const HELD_SPANS_MAX: usize = 1_024;

/// Most ranges of one log that a receipt or a summary may name. // guess: holes are few
pub const RANGES_MAX: usize = 64;

/// Most area tags in one certificate. // guess: a hub names its whole catchment by one prefix
pub const CERT_AREAS_MAX: usize = 64;

/// Longest chain of certificates below the programme's key: district, health centre, device, and
/// authority devices that were approved by others between them. // guess: a line of four successors
pub const CHAIN_MAX: usize = 8;

/// Statements with which a device is told that it is shut out. // guess: several revocations of
/// itself and of those above it, each with its chain
pub const GROUNDS_MAX: usize = 64;
/// Devices whose claim to hold more of our own log than we do stops our numbering, each once, for
/// [`SILENCE_MS_MAX`] at most. // guess: a whole village has lied by then
pub const DOUBTERS_MAX: usize = 8;

/// Bytes that a peer may send in one frame before its hello has come.
pub const HELLO_BYTES_MAX: usize = 4_096;

/// Bytes of summary, of all sessions together, that are kept for a member whose certificate chain is still to come.
/// // guess: the summary of every log of the nation, once
pub const EARLY_BYTES_MAX: usize = 16_777_216;

/// Most control statements one session may be told of. // guess: the nation's devices, several
/// times over, are below 2^19
pub const SUMMARY_STATEMENTS_MAX: usize = 524_288;

/// Most logs one session may be told of. // 58,000 health workers and their hubs, rounded up
pub const SUMMARY_LOGS_MAX: usize = 131_072;

/// Most spans, of all logs, that one session may be told of. // guess: two for each log
pub const SUMMARY_SPANS_MAX: usize = 262_144;

/// Entries of a summary that one frame carries, so that no frame nears its limit.
pub const SUMMARY_ENTRIES_PER_FRAME: usize = 4_096;

/// Most coded symbols in which a difference is looked for; where they do not suffice, one side tells
/// all it holds. 786 kB on the wire. // guess: half of the nation's logs differ
pub const SYMBOLS_MAX: usize = 65_536;

/// Most bytes that a peer may send while we calculate what differs: a whole frame for each batch that
/// may be under way, and what is said in front of them.
pub const WAITING_BYTES_MAX: usize = (BATCHES_ON_ANY_LINK + 1) * (FRAME_BYTES_MAX + 4);

/// Most bytes after which a batch is full. // measured (storage reference): 64 kB on the network
pub const BATCH_BYTES_TARGET: usize = 65_536;

/// Fewest.
pub const BATCH_BYTES_MIN: usize = 2_048;

/// The same, before a batch was acknowledged. // guess: half a second of Bluetooth
pub const BATCH_BYTES_FIRST: usize = 8_192;

/// Milliseconds of the link that a batch is to take.
pub const BATCH_MS_TARGET: u64 = 500;

/// Most envelopes in one batch: bounds the verification that one frame can ask for.
pub const BATCH_ENVELOPES_MAX: usize = 1_024;

/// Most statements in one batch.
pub const BATCH_STATEMENTS_MAX: usize = 1_024;

/// Batches that may be under way unacknowledged on any link, however slow. Two keep it busy while one
/// is stored.
pub const BATCHES_ON_ANY_LINK: usize = 2;

/// The same on a fast link, where what is under way is still far less than the link carries in
/// [`BATCH_MS_TARGET`]. // guess: half full ones reach [`FLIGHT_BYTES_MAX`]
pub const BATCHES_IN_FLIGHT_MAX: usize = 32;

/// Most bytes under way unacknowledged beyond [`BATCHES_ON_ANY_LINK`] batches, however fast the link: a
/// receiver keeps them in memory, and a cut may take them. // measured (`huza bench first-sync`): with
/// half of it the sender waits while the receiver writes; twice as much gains a tenth
pub const FLIGHT_BYTES_MAX: usize = 1_048_576;

/// Bytes of batches under way to others, from which on who waits for a turn waits on. // guess:
/// half a second of a good access point, and more than one link needs
pub const TURN_BYTES_MAX: usize = 1_048_576;

/// Batches being looked up for sessions at once. // guess: keeps the store busy, and the queue
/// before it short
pub const TURN_LOADS_MAX: usize = 8;

/// Milliseconds after which a batch that is not acknowledged no longer counts as under way when turns are given.
/// // twice what a batch is to take
pub const TURN_MS: u64 = 2 * BATCH_MS_TARGET;

/// Peers that a device seeks out among those that are found near, while no hub of its health centre
/// is there. // two random ones each connect any number of devices almost surely
pub const LINKS_WANTED: usize = 2;

/// Sessions that a device keeps open beside its hub's when they have nothing to say. // guess: a
/// colleague who stays near when the hub is left
pub const LINKS_BESIDE_HUB_MAX: usize = 2;

/// Milliseconds in which one hint about a log is passed on at most. // guess: a visit takes longer
pub const NEWS_PAUSE_MS: u64 = 5_000;

/// Hints about all logs that are passed on in that time. // guess: a meeting in which everybody arrives at once
pub const NEWS_AT_ONCE_MAX: usize = 64;

/// Milliseconds for which a hint is remembered. // guess: a phone that waits for its first sync
pub const NEWS_KEPT_MS: u64 = 60_000;

/// Milliseconds after which what a hint told of should have come by an open session. // guess
pub const NEWS_WAIT_MS: u64 = 3_000;

/// Places of a bundle that look like the beginning of a page and are none, after which the rest of the
/// file is left alone: each costs a hash over what its length says. // guess: a card with a bad spot
/// every few pages, and some seconds of a phone
pub const BUNDLE_FAILURES_MAX: usize = 1_024;

/// Reasons that an answer about one page of a bundle names. // guess: a person reads no more
pub const BUNDLE_REASONS_MAX: usize = 16;

/// Sessions one node holds at once. // a monthly meeting of 100-130 phones
pub const SESSIONS_MAX: usize = 160;

/// Milliseconds in which a peer must show a valid hello, or the pipe is closed. // guess: 2G-like
/// links of 600 ms with loss, and a slow phone
pub const HELLO_MS_MAX: u64 = 20_000;

/// Milliseconds without a single byte from the peer while something is due, after which the pipe
/// is closed. // guess: longer than a slow commit on a worn SD card
pub const SILENCE_MS_MAX: u64 = 60_000;

/// Milliseconds after which pending changes are sealed even if they do not fill an envelope and
/// nobody was met. // guess
pub const PENDING_MS_MAX: u64 = 600_000;

/// Milliseconds that a hub waits after an ingest before it signs receipts, so that one receipt
/// covers what arrives together. // guess: below what a person notices
pub const RECEIPT_DELAY_MS: u64 = 250;

/// Milliseconds for which a device holds an order to erase before it destroys what the order names;
/// until then it only hides the person. // guess: a theft is noticed at the next working day, and
/// revoked from above on the one after; the law says "without undue delay"
pub const ERASURE_DELAY_MS: u64 = 259_200_000;

/// Milliseconds between two looks at the clock while orders to erase wait. // guess: what a crash
/// may take from the time counted, against a write of the carrier's store each
pub const ERASURE_LOOK_MS: u64 = 3_600_000;

/// Most bytes of envelopes that a device carries for health centres to which it does not belong,
/// unless it is set; urgent envelopes are taken beyond it. // guess: a hundred villages for half a
/// year at the measured 2 to 4 MB a village-year (design section 4), on a phone with 16 GB
pub const CARRY_BYTES: u64 = 268_435_456;

/// Milliseconds, counted by this device, after which such an envelope is let go in any case, unless
/// it is set: 60 days (design section 4).
pub const CARRY_MS: u64 = 5_184_000_000;

/// Looks at what may be let go in that time: one an hour.
pub const CARRY_LOOKS: u64 = 1_440;

/// Marks in the record of when envelopes came in that time: one a day.
pub const CARRY_MARKS: u64 = 60;

/// Milliseconds from a receipt to the look at what may be let go because of it, so that those that
/// come together are followed together. // guess
pub const CARRY_RECEIPT_MS: u64 = 60_000;

/// Envelopes that are let go in one write. Bounds what is read for it. // guess
pub const RELEASED_AT_ONCE: usize = 64;

/// Receipts of one device about one log that are looked at to let it go. // stored, accepted, and few
/// reasons for which something was refused
pub const WITNESSED_MAX: usize = 4;

/// Bytes in which a device tells how much room it has: so many that one envelope always fits.
pub const ROOM_UNIT_BYTES: u64 = 2_097_152;

/// Entries in the list of records that changed; what is older is forgotten, and who asks for it has to
/// look at every record again. // guess: a month of a health centre, 2 MB
pub const FEED_ROWS_MAX: u64 = 65_536;

/// Changed records that one [`Changes`](crate::node::Command::Changes) answers at most.
pub const FEED_AT_ONCE: usize = 1_024;

/// Rows that one load returns at most.
pub const LOAD_ROWS_MAX: usize = 4_096;

/// Bytes after which a load gives no further row.
pub const LOAD_BYTES_MAX: usize = 1_048_576;

/// Longest text of a form, in bytes of TOML. // guess: six times the longest of ours
pub const FORM_BYTES_MAX: usize = 65_536;

/// Longest packed form, in bytes: what is left of [`STATEMENT_BYTES_MAX`] with issuer, number, scope
/// and signature, rounded down.
pub const FORM_BODY_BYTES_MAX: usize = STATEMENT_BYTES_MAX - 192;

/// Most fields of a form. // guess: eight times the longest of ours
pub const FORM_FIELDS_MAX: usize = 256;

/// Longest id of a form, or of something in it, in bytes.
pub const FORM_ID_BYTES_MAX: usize = 48;

/// Longest sign of a danger, in bytes: some of them fit a card.
pub const SIGN_BYTES_MAX: usize = 24;

/// Longest label, source or code of a form, in bytes. // guess: a few sentences of advice
pub const LABEL_BYTES_MAX: usize = 1_024;

/// Most forms published by one issuer. A stolen authority device fills its own share, no more.
/// // guess: ten versions of all that we know
pub const FORMS_PER_ISSUER_MAX: usize = 256;

/// Longest text that a form field takes, in characters, unless the form says less.
pub const TEXT_CHARS_MAX: usize = 2_000;

/// Inputs the shell may queue before it stops reading from pipes.
pub const INPUTS_QUEUED_MAX: usize = 1_024;
