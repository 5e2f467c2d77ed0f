//! `airlift demo`

mod world;

use super::clock;
use super::environment::Environment;
use super::error::{CliError, DONE, INTERNAL};
use super::keygen::write_pair;
use super::output::Output;
use super::{authoring, human, judging, signing};
use crate::bundle::{Options, find_volumes};
use crate::document::receipt::Outcome;
use crate::flow::{
    Context, FlowError, ImportRequest, Imported, Leaving, Medium, Mode, PackRequest, Pins, Prefix, Remembering,
    VerifyRequest, Wanted, import, look_up, pack, publish, verify,
};
use crate::model::Fault;
use crate::registry::{PlainHttp, Remote, Settings};
use crate::serve::{EmbeddedRegistry, Options as ServeOptions, Running};
use crate::trust::{Authors, Judge, SigningKey};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use world::{Upstream, write_catalogue, write_kubernetes};

/// Run the whole job on two embedded registries, with no network
///
/// Makes a small signed catalogue, resolves it, packs it into volumes, verifies them, imports them into a second registry, and
/// shows what happens when one byte is flipped on the way.
#[derive(clap::Args)]
pub struct Arguments {
    /// Keep everything in this folder [default: a temporary folder that is removed]
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

/// Demonstrates.
pub fn run(arguments: Arguments, environment: &Environment, output: &Output) -> Result<u8, CliError> {
    let temporary = tempfile::tempdir().map_err(|error| CliError::file(Path::new("the temporary folder"), &error))?;
    let folder = arguments.dir.clone().unwrap_or_else(|| temporary.path().to_owned());
    if folder.join("mirror.yaml").exists() {
        return Err(
            CliError::usage(format!("{} holds a demo already", folder.display())).with_hint("name an empty folder")
        );
    }
    let demo = Demo::begin(&folder, environment, output)?;
    demo.resolve()?;
    demo.pack()?;
    demo.verify()?;
    demo.import()?;
    demo.flip_a_byte()?;
    match &arguments.dir {
        Some(folder) => output.result(format!("\nEverything is kept in {}.", folder.display())),
        None => output.result("\nRun it with --dir FOLDER to keep the files and look at them."),
    }
    Ok(DONE)
}

struct Demo<'a> {
    folder: PathBuf,
    environment: &'a Environment,
    output: &'a Output,
    upstream: Running,
    enclave: Running,
    remote: Remote,
    author: SigningKey,
}

impl<'a> Demo<'a> {
    fn begin(folder: &Path, environment: &'a Environment, output: &'a Output) -> Result<Self, CliError> {
        let file = |error: io::Error| CliError::file(folder, &error);
        fs::create_dir_all(folder).map_err(file)?;
        let start = |name: &str| {
            EmbeddedRegistry::start(ServeOptions::new(folder.join(name)))
                .map_err(|error| CliError { code: INTERNAL, ..CliError::usage(error.to_string()) })
        };
        let (upstream, enclave) = (start("upstream")?, start("enclave")?);
        let settings = Settings { plain_http: PlainHttp::All, ..Settings::default() };
        let remote = Remote::new(settings).map_err(fault)?;
        let (signer, _) = write_pair(&folder.join("catalogue"), None)?;
        let (author, _) = write_pair(&folder.join("author"), None)?;
        let signer = signing::signing_key(&signer, None)?;
        let author = signing::signing_key(&author, None)?;
        let host = upstream.host();
        output.result(format!(
            "1  An upstream registry at {host}, with a catalogue of three Blueprints and three images."
        ));
        write_catalogue(&folder.join("catalogue")).map_err(file)?;
        write_kubernetes(&folder.join("press.yaml"), &host).map_err(file)?;
        Upstream { to: &remote, host: host.clone(), key: &signer }.fill().map_err(fault)?;
        fs::write(folder.join("mirror.yaml"), mirror(&host)).map_err(file)?;
        fs::write(folder.join("policy.yaml"), policy(&host, true)).map_err(file)?;
        fs::write(folder.join("strict.yaml"), policy(&host, false)).map_err(file)?;
        Ok(Self { folder: folder.to_owned(), environment, output, upstream, enclave, remote, author })
    }

    fn say(&self, text: impl std::fmt::Display) {
        self.output.result(text);
    }

    fn context<'b>(&'b self, events: &'b super::progress::Progress) -> Context<'b> {
        Context { events, threads: 4, stop: &self.environment.stop }
    }

    fn judge(&self, name: &str) -> Result<(String, Judge), CliError> {
        let path = self.folder.join(name);
        let policy = judging::read_policy(&path)?;
        let judge = judging::make_judge(&policy, Some(&self.folder))?;
        Ok((policy.to_text(), judge))
    }

    fn resolve(&self) -> Result<(), CliError> {
        let progress = self.output.progress();
        let wanted = Wanted::Mirror(self.folder.join("mirror.yaml"));
        let lookup = look_up(&wanted, Pins::default(), &self.remote, &self.context(&progress))?;
        let lock = lookup.resolved.lock;
        publish(&self.folder.join("airlift.lock"), &lock.to_bytes())?;
        self.say(format!(
            "\n2  resolve: mirror.yaml → airlift.lock, {} pinned.",
            human::count(lock.artifacts.len() as u64, "artifact")
        ));
        for artifact in &lock.artifacts {
            let because = artifact.why.first().and_then(|path| path.last()).cloned().unwrap_or_default();
            self.say(format!("   {}  {}  ({because})", artifact.digest.short(), artifact.source));
        }
        Ok(())
    }

    fn request<'b>(&'b self, policy: String, judge: &'b Judge) -> Result<PackRequest<'b>, CliError> {
        let path = self.folder.join("airlift.lock");
        let lock = crate::document::lock::Lock::read(&crate::flow::read_paper(&path)?, &path.display().to_string())?;
        let options = Options { volume_size: Some((16 << 20).into()), ..Options::default() };
        let (keys, leaving) = (std::slice::from_ref(&self.author), Leaving::Nothing);
        Ok(PackRequest { lock, policy, judge, keys, leaving, options, parity: None })
    }

    fn pack(&self) -> Result<(), CliError> {
        self.say("\n3  pack: pull, judge every artifact, write signed volumes. First under a policy that demands a signature everywhere:");
        let progress = self.output.progress();
        let source = Remembering::new(&self.remote);
        let (text, strict) = self.judge("strict.yaml")?;
        match pack(self.request(text, &strict)?, &source, &self.folder.join("refused"), &self.context(&progress)) {
            Err(error @ FlowError::Refused(_)) => self.say(indent(&error.to_string())),
            Err(error) => return Err(error.into()),
            Ok(_) => return Err(broken("an unsigned image was packed under a policy that demands a signature")),
        }
        self.say("   The unsigned image gets an exemption, with a reason and an end. Now:");
        let (text, judge) = self.judge("policy.yaml")?;
        let packed = pack(self.request(text, &judge)?, &source, &self.folder.join("bundle"), &self.context(&progress))?;
        let volumes = human::count(packed.written.volumes.len() as u64, "volume");
        self.say(format!(
            "   packed {} with {} of payload into {volumes}",
            human::count(packed.artifacts as u64, "artifact"),
            human::bytes(packed.payload)
        ));
        for volume in &packed.written.volumes {
            let size = fs::metadata(volume).map_or(0, |meta| meta.len());
            let name = volume.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.say(format!("   {name}  {}", human::bytes(size)));
        }
        Ok(())
    }

    fn volumes(&self) -> Result<Vec<PathBuf>, CliError> {
        let glob = self.folder.join("bundle*.airlift");
        find_volumes(&[glob]).map_err(|error| FlowError::from(error).into())
    }

    fn authors(&self) -> Result<Authors, CliError> {
        authoring::authors_of(&[self.folder.join("author.pub")], 1)
    }

    fn verify(&self) -> Result<(), CliError> {
        let verified = self.check()?;
        if !verified.holds() {
            return Err(broken(&format!("a fresh bundle does not verify: {:?}", verified.findings)));
        }
        let authenticity = verified.authenticity.unwrap_or_default();
        self.say(format!(
            "\n4  verify, offline: {} checked, {authenticity}; every artifact is accepted by the policy.",
            human::bytes(verified.bytes)
        ));
        Ok(())
    }

    fn check(&self) -> Result<crate::flow::Verified, CliError> {
        let progress = self.output.progress();
        let (_, judge) = self.judge("policy.yaml")?;
        let request = VerifyRequest {
            from: Medium::Files(self.volumes()?),
            authors: &self.authors()?,
            judge: Some(&judge),
            told: &[],
        };
        Ok(verify(request, &self.context(&progress))?)
    }

    fn import_once(&self) -> Result<Imported, CliError> {
        let progress = self.output.progress();
        let request = ImportRequest {
            from: Medium::Files(self.volumes()?),
            authors: &self.authors()?,
            judge: None,
            prefix: &Prefix::parse(&format!("{}/mirror", self.enclave.host()))?,
            mode: Mode { create_projects: false, dry_run: false },
            now: &clock::now,
        };
        Ok(import(request, &self.remote, &self.context(&progress))?)
    }

    fn import(&self) -> Result<(), CliError> {
        self.say(format!("\n5  import: into a second registry at {}, one pass, tags last.", self.enclave.host()));
        let imported = self.import_once()?;
        if let Some(failure) = imported.failure {
            return Err(failure.into());
        }
        let Some(receipt) = imported.receipt else { return Err(broken("an import gave no receipt")) };
        publish(&self.folder.join("receipt.json"), &receipt.to_bytes())?;
        for arrival in &receipt.artifacts {
            let word = if matches!(arrival.outcome, Outcome::Imported) { "imported" } else { "already there" };
            self.say(format!("   {word}  {}  {}", arrival.destination, arrival.digest.short()));
        }
        let moved = receipt.moved;
        self.say(format!(
            "   receipt: sent {} in {}, mounted {}, {} written",
            human::bytes(moved.bytes_sent),
            human::count(moved.blobs_sent, "blob"),
            moved.blobs_mounted,
            human::count(moved.documents_sent, "document")
        ));
        let before = self.enclave.counters();
        let again = self.import_once()?;
        let moved = again.receipt.map(|receipt| receipt.moved).unwrap_or_default();
        let requests = self.enclave.counters().requests - before.requests;
        self.say(format!(
            "   again: {} sent, {} written, {requests} questions asked",
            human::count(moved.blobs_sent, "blob"),
            human::count(moved.documents_sent, "document")
        ));
        Ok(())
    }

    fn flip_a_byte(&self) -> Result<(), CliError> {
        let Some(volume) = self.volumes()?.pop() else { return Err(broken("no volume is left")) };
        let name = volume.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.say(format!("\n6  One byte of {name} is flipped, as a bad medium would do it:"));
        let file = |error: io::Error| CliError::file(&volume, &error);
        let mut bytes = fs::read(&volume).map_err(file)?;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&volume, &bytes).map_err(file)?;
        let verified = self.check()?;
        let refused = self.import_once();
        bytes[middle] ^= 1;
        fs::write(&volume, &bytes).map_err(file)?;
        if verified.holds() {
            return Err(broken("a damaged bundle was accepted"));
        }
        for finding in verified.findings.iter().take(3) {
            self.say(format!(
                "   refused: {}: {}",
                finding.place.replace(&format!("{}/", self.folder.display()), ""),
                finding.what
            ));
        }
        if matches!(&refused, Ok(imported) if imported.failure.is_none()) {
            return Err(broken("a damaged bundle was imported"));
        }
        self.say(format!(
            "   The byte is put back. The upstream answered {} requests in all.",
            self.upstream.counters().requests
        ));
        Ok(())
    }
}

fn fault(fault: Fault) -> CliError {
    CliError { code: INTERNAL, ..CliError::usage(fault.to_string()) }
}

fn broken(what: &str) -> CliError {
    CliError { code: INTERNAL, ..CliError::usage(what) }
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("   {line}")).collect::<Vec<_>>().join("\n")
}

fn mirror(host: &str) -> String {
    format!(
        "# What the demo mirrors: one Blueprint with what it depends on, what a Kubernetes file runs, and one image by name.\n\
         apiVersion: airlift/v1alpha1\n\
         kind: Mirror\n\
         blueprints:\n  - catalogue: catalogue\n    artifact: \"{host}/openova-io/{{chart}}:{{version}}\"\n    roots:\n      - blueprint: bp-paperboy\n        version: ^1.2\n\
         kubernetes:\n  - press.yaml\n\
         images:\n  - {host}/vendor/legacy:0.9\n"
    )
}

fn policy(host: &str, exempt: bool) -> String {
    let exemption = format!(
        "  - match: [\"{host}/vendor/legacy\"]\n    exempt:\n      reason: the vendor does not sign; looked at by hand\n      until: 2099-12-31\n"
    );
    format!(
        "apiVersion: airlift/v1alpha1\n\
         kind: Policy\n\
         keys:\n  catalogue: {{file: catalogue.pub}}\n\
         rules:\n{}  - match: [\"{host}/**\"]\n    signatures:\n      - key: {{name: catalogue}}\n",
        if exempt { exemption } else { String::new() }
    )
}
