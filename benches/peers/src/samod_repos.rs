//! samod: two repositories, one document for each record, all of them open, over TCP through a
//! proxy that counts every byte. Their disks are in memory. A contact is over when the side that
//! holds everything knows of each document that the other holds it too, and then nothing has passed
//! the proxy for two seconds; that pause is not counted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use samod::storage::{Storage, StorageKey};
use samod::tokio_io::TcpDialer;
use samod::{BackoffConfig, DocHandle, DocumentId, PeerId, Repo, Url};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::automerge_sync::{Docs, write};
use crate::workload::{Cost, DIFFERENCES, Workload, tell};

/// How long nothing must pass until a contact is over.
const SILENCE: Duration = Duration::from_secs(2);

pub fn run(work: &Workload) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(cases(work));
}

async fn cases(work: &Workload) {
    let none = BTreeSet::new();
    let all: BTreeSet<usize> = (0..work.changes.len()).collect();
    let full = Device::new(write(work, Docs::new(), |_| true)).await;
    {
        let (mut a, mut b) = (full.copy(), full.copy());
        tell("samod", work, "identical", &none, meet(&mut a, &mut b, u64::MAX).await);
        tell("samod", work, "repeat", &none, meet(&mut a, &mut b, u64::MAX).await);
    }
    for count in DIFFERENCES {
        for (kind, missing) in
            [("newest", work.newest(count)), ("scattered", work.scattered(count))]
        {
            let docs = write(work, Docs::new(), |at| !missing.contains(&at));
            let mut b = Device::new(docs.clone()).await;
            let mut a = b.copy();
            a.put(write(work, docs, |at| missing.contains(&at))).await;
            let cost = meet(&mut a, &mut b, u64::MAX).await;
            tell("samod", work, &format!("{kind}-{count}"), &missing, cost);
        }
    }
    {
        let (known, steps) = work.steps();
        let mut docs = write(work, Docs::new(), |at| known.contains(&at));
        let mut a = Device::new(docs.clone()).await;
        let mut b = a.copy();
        meet(&mut a, &mut b, u64::MAX).await;
        for step in steps {
            docs = write(work, docs, |at| step.contains(&at));
            a.put(docs.clone()).await;
            let cost = meet(&mut a, &mut b, u64::MAX).await;
            tell("samod", work, &format!("since-{}", step.len()), &step, cost);
        }
    }
    let first = meet(&mut full.copy(), &mut full.empty(), u64::MAX).await;
    tell("samod", work, "first", &all, first);
    let cost = meet(&mut full.copy(), &mut full.empty(), first.all() / 2).await;
    tell("samod", work, "cut", &all, cost);
    let missing = work.newest(200);
    let docs = write(work, Docs::new(), |at| !missing.contains(&at));
    let mut a = Device::new(docs.clone()).await;
    let (mut b, mut c) = (a.copy(), a.copy());
    meet(&mut a, &mut b, u64::MAX).await;
    meet(&mut b, &mut c, u64::MAX).await;
    a.put(write(work, docs, |at| missing.contains(&at))).await;
    b.ids.clone_from(&a.ids);
    let cost = meet(&mut a, &mut b, u64::MAX).await.and(meet(&mut b, &mut c, u64::MAX).await);
    tell("samod", work, "ferry-200", &missing, cost);
}

/// A disk, in memory.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<BTreeMap<Vec<String>, Vec<u8>>>>);

impl Storage for Disk {
    async fn load(&self, key: StorageKey) -> Option<Vec<u8>> {
        self.0.lock().unwrap().get(&key.into_iter().collect::<Vec<_>>()).cloned()
    }

    async fn load_range(&self, prefix: StorageKey) -> HashMap<StorageKey, Vec<u8>> {
        let prefix: Vec<String> = prefix.into_iter().collect();
        let rows = self.0.lock().unwrap();
        let rows = rows.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix));
        let whole = |key: &Vec<String>| StorageKey::from_parts(key).unwrap();
        rows.map(|(key, value)| (whole(key), value.clone())).collect()
    }

    async fn put(&self, key: StorageKey, data: Vec<u8>) {
        self.0.lock().unwrap().insert(key.into_iter().collect(), data);
    }

    async fn delete(&self, key: StorageKey) {
        self.0.lock().unwrap().remove(&key.into_iter().collect::<Vec<_>>());
    }
}

/// A device between contacts: what is on its disk, and which document is whose.
struct Device {
    disk: Disk,
    ids: BTreeMap<usize, DocumentId>,
    name: PeerId,
}

impl Device {
    async fn new(docs: Docs) -> Self {
        let mut device = Self { disk: Disk::default(), ids: BTreeMap::new(), name: name() };
        device.put(docs).await;
        device
    }

    /// Another with the same documents.
    fn copy(&self) -> Self {
        let disk = Disk(Arc::new(Mutex::new(self.disk.0.lock().unwrap().clone())));
        let own = StorageKey::storage_id_path().into_iter().collect::<Vec<_>>();
        disk.0.lock().unwrap().remove(&own);
        Self { disk, ids: self.ids.clone(), name: name() }
    }

    /// Another without any, that will know which to ask for once they are there.
    fn empty(&self) -> Self {
        Self { disk: Disk::default(), ids: self.ids.clone(), name: name() }
    }

    async fn repo(&self) -> Repo {
        let built = Repo::build_tokio().with_storage(self.disk.clone());
        built.with_peer_id(self.name.clone()).load().await
    }

    /// Writes what it does not hold of these documents.
    async fn put(&mut self, docs: Docs) {
        let repo = self.repo().await;
        for (record, mut doc) in docs {
            match self.ids.get(&record) {
                None => {
                    let handle = repo.create(doc.document().clone()).await.unwrap();
                    self.ids.insert(record, handle.document_id().clone());
                }
                Some(id) => {
                    let handle = repo.find(id.clone()).await.unwrap().expect("on its disk");
                    handle.with_document(|held| {
                        if held.get_heads() != doc.get_heads() {
                            held.merge(&mut doc.document().clone()).unwrap();
                        }
                    });
                }
            }
        }
        repo.stop().await;
    }
}

/// The name of a new device.
fn name() -> PeerId {
    static DEVICES: AtomicU64 = AtomicU64::new(0);
    PeerId::from(format!("phone-{}", DEVICES.fetch_add(1, Ordering::Relaxed)).as_str())
}

/// Opens all documents that are on a disk.
async fn open(device: &Device) -> (Repo, Vec<DocHandle>) {
    let repo = device.repo().await;
    let mut handles = Vec::new();
    for id in device.ids.values() {
        handles.extend(repo.find(id.clone()).await.unwrap());
    }
    (repo, handles)
}

/// A contact. After `cut` bytes the connection breaks, once; samod itself dials again.
async fn meet(a: &mut Device, b: &mut Device, cut: u64) -> Cost {
    let ((ours, held), (theirs, _kept)) = (open(a).await, open(b).await);
    let (listener, front) = (local().await, local().await);
    let (behind, port) = (listener.local_addr().unwrap(), front.local_addr().unwrap().port());
    let acceptor = ours.make_acceptor(Url::parse("tcp://peer").unwrap()).unwrap();
    let accepting = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _connection = acceptor.accept_tokio_io(stream).unwrap();
        }
    });
    let start = Instant::now();
    let count = Arc::new(Mutex::new(Count { cut, last: start, ..Count::default() }));
    let counter = count.clone();
    let proxy = tokio::spawn(async move {
        while let Ok((near, _)) = front.accept().await {
            let far = TcpStream::connect(behind).await.unwrap();
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            let (up, down) = (counter.clone(), counter.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = pass(near_in, far_out, 1, up) => {}
                    () = pass(far_in, near_out, 0, down) => {}
                }
            });
        }
    });
    let dialer = TcpDialer::new_host_port("127.0.0.1".to_owned(), port);
    let dialing = theirs.dial(BackoffConfig::default(), Arc::new(dialer)).unwrap();
    let mut left = held;
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        while left.last().is_some_and(is_known) {
            left.pop();
        }
        if left.is_empty() && count.lock().unwrap().last.elapsed() > SILENCE {
            break;
        }
    }
    let (mut cost, last) = {
        let count = count.lock().unwrap();
        (count.cost, count.last)
    };
    cost.millis = (last - start).as_millis();
    // What is new at B is known by its id to whoever was told; the search is not counted.
    b.ids.extend(a.ids.iter().map(|(record, id)| (*record, id.clone())));
    let mut differ = 0;
    for id in a.ids.values() {
        let heads = |handle: DocHandle| handle.with_document(|doc| doc.get_heads());
        let mine = ours.find(id.clone()).await.unwrap().map(heads);
        let other = theirs.find(id.clone()).await.unwrap().map(heads);
        differ += usize::from(mine.is_none() || mine != other);
    }
    assert_eq!(differ, 0, "documents differ after the contact");
    drop(dialing);
    proxy.abort();
    accepting.abort();
    theirs.stop().await;
    ours.stop().await;
    cost
}

/// Whether the other side is known to hold what we do.
fn is_known(doc: &DocHandle) -> bool {
    let heads = Some(doc.with_document(|doc| doc.get_heads()));
    doc.peers().0.values().any(|peer| peer.shared_heads == heads)
}

async fn local() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// What has passed the proxy.
struct Count {
    cost: Cost,
    direction: usize,
    last: Instant,
    cut: u64,
}

impl Default for Count {
    fn default() -> Self {
        Self { cost: Cost::default(), direction: 2, last: Instant::now(), cut: u64::MAX }
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut into: OwnedWriteHalf,
    direction: usize,
    count: Arc<Mutex<Count>>,
) {
    let mut buffer = vec![0; 65_536];
    while let Ok(bytes @ 1..) = from.read(&mut buffer).await {
        {
            let mut count = count.lock().unwrap();
            count.last = Instant::now();
            count.cost.turns += u64::from(count.direction != direction);
            count.direction = direction;
            count.cost.bytes[direction] += bytes as u64;
            if count.cost.all() >= count.cut {
                count.cut = u64::MAX;
                return;
            }
        }
        if into.write_all(&buffer[..bytes]).await.is_err() {
            return;
        }
    }
}
