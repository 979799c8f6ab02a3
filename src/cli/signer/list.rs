//! `trustgate signer list`: who may sign in a repository, with which keys, which tags.

use clap::Args;
use serde::Serialize;

use super::{TARGETS, Tally, keys_of, repositories};
use crate::cli::exit::{Exit, Failure};
use crate::cli::form::FormArguments;
use crate::cli::output::Output;
use crate::cli::progress::while_waiting;
use crate::cli::settings::Settings;
use crate::cli::signing::{Telling, publish_failure, publisher, tell};
use crate::image::Gun;
use crate::text::visible;
use crate::trust::publish::{Survey, SurveyScope, SurveyedDelegation, SurveyedKey};
use crate::tuf::{KeyId, RoleName};

/// What `signer list` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// Repository
    #[arg(required = true, value_name = "REPOSITORY")]
    repositories: Vec<String>,

    #[command(flatten)]
    form: FormArguments,
}

/// Prints them.
pub(super) async fn run(
    arguments: &Arguments,
    settings: &Settings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let guns = repositories(&arguments.repositories)?;
    let (mut answers, mut tally) = (Vec::new(), Tally::default());
    for gun in &guns {
        let publisher = publisher(settings, gun, tell(Telling::Nothing))?;
        let survey =
            while_waiting("asking for trust data", output, publisher.survey(gun, SurveyScope::EvenExpired));
        match survey.await {
            Ok(survey) => {
                let answer = Answer::of(&survey);
                answer.print(arguments.form, output)?;
                answers.push(answer);
            }
            Err(error) => tally.failed(gun, &publish_failure(&error), output),
        }
    }
    arguments.form.json(&answers, output)?;
    Ok(tally.finish("no answer for", guns.len(), output))
}

/// The signers of one repository.
#[derive(Serialize)]
struct Answer {
    repository: Gun,
    signers: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    /// Docker's name of the signer; a delegation that is none has none.
    name: Option<String>,
    role: RoleName,
    keys: Vec<Key>,
    threshold: u64,
    /// Prefixes of the tags that it may sign; an empty one stands for all.
    paths: Vec<String>,
    /// Whether its keys may sign in `targets/releases`, too.
    releases: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

#[derive(Serialize)]
struct Key {
    id: KeyId,
    /// The name of its file, where the key is in a certificate.
    canonical_id: KeyId,
    here: bool,
}

impl Answer {
    fn of(survey: &Survey) -> Self {
        let releases = keys_of(survey, &RoleName::RELEASES).unwrap_or_default();
        let delegations = survey.delegations.iter().filter(|it| it.role != RoleName::RELEASES);
        let signers = delegations.map(|it| Entry::of(it, releases)).collect();
        Self { repository: survey.gun.clone(), signers }
    }

    fn print(&self, form: FormArguments, output: &mut Output) -> Result<(), Failure> {
        if self.signers.is_empty() {
            output.remark(&format!("{} has no signers but whoever has its targets key", self.repository));
            return Ok(());
        }
        form.line(&format!("Signers of {}", self.repository), output)?;
        let rows: Vec<_> = self.signers.iter().map(Entry::row).collect();
        form.table(["SIGNER", "TAGS", "RELEASES", "KEY HERE", "KEYS"], &rows, output)?;
        for entry in &self.signers {
            if let Some(problem) = &entry.problem {
                output.talk(&format!("warning: `{}` doesn't count: {problem}", entry.role));
            }
        }
        Ok(())
    }
}

impl Entry {
    fn of(delegation: &SurveyedDelegation, releases: &[SurveyedKey]) -> Self {
        let name = delegation.role.as_str().strip_prefix(TARGETS).filter(|it| !it.contains('/'));
        let keys = delegation.keys.iter().map(|it| Key {
            id: it.id.clone(),
            canonical_id: it.canonical_id.clone(),
            here: it.here,
        });
        let shared = |key: &SurveyedKey| releases.iter().any(|it| it.canonical_id == key.canonical_id);
        Self {
            name: name.map(str::to_owned),
            role: delegation.role.clone(),
            keys: keys.collect(),
            threshold: delegation.threshold,
            paths: delegation.paths.iter().map(|it| visible(it)).collect(),
            releases: delegation.keys.iter().any(shared),
            problem: delegation.problem.as_ref().map(|it| visible(it)),
        }
    }

    fn row(&self) -> [String; 5] {
        let yes_no = |it: bool| if it { "yes" } else { "no" }.to_owned();
        let tags = match self.paths.as_slice() {
            [] => "none".to_owned(),
            paths if paths.iter().any(String::is_empty) => "all".to_owned(),
            paths => paths.iter().map(|it| format!("{it}*")).collect::<Vec<_>>().join(", "),
        };
        let keys: Vec<String> = self.keys.iter().map(|it| format!("{:.12}", it.id.as_str())).collect();
        let keys = match (self.threshold, keys.join(", ")) {
            (1, keys) => keys,
            (threshold, keys) => format!("{threshold} of {keys}"),
        };
        let here = yes_no(self.keys.iter().any(|it| it.here));
        let name = self.name.clone().unwrap_or_else(|| self.role.to_string());
        [name, tags, yes_no(self.releases), here, keys]
    }
}
