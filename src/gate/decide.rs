//! The decision itself: which look-ups the requests need, and what their answers mean.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;

use super::decision::{Decided, Decision, Report, Unchecked};
use super::refusal::Refusal;
use super::request::Request;
use super::switch::TrustSwitch;
use super::{Content, ContentDecision};
use super::{admit, explain, warn};
use crate::image::{Digest, Gun, Reference, Tag};
use crate::policy::{DigestRule, DisabledBy, PolicyError, PolicySet, RepositoryRule, Terms, TrustMode};
use crate::trust::{RepositoryTerms, SignedTarget, TrustError, TrustSource, Want};

/// Policy and trust data, ready to decide.
pub struct Gate {
    policy: PolicySet,
    trust: Arc<dyn TrustSource>,
    switch: TrustSwitch,
    now: Option<Timestamp>,
}

impl Gate {
    /// A gate for one build.
    #[must_use]
    pub fn new(policy: PolicySet, trust: Arc<dyn TrustSource>, switch: TrustSwitch) -> Self {
        Self { policy, trust, switch, now: None }
    }

    /// The same gate, whose messages say how long something is valid instead of until when.
    #[must_use]
    pub fn with_now(self, now: Timestamp) -> Self {
        Self { now: Some(now), ..self }
    }

    /// Decides about every request: repositories in parallel, each tag asked once, in the given order.
    pub async fn decide(&self, requests: Vec<Request>) -> Report {
        let disabled = self.disabled();
        let rules = self.rules(&requests);
        let answers = match disabled {
            Some(_) => BTreeMap::new(),
            None => self.answers(&requests, &rules).await,
        };
        let mut report = Report::default();
        if let (None, TrustSwitch::Disabled(by)) = (disabled, self.switch)
            && let Err(error) = self.policy.disable_allowed(by)
        {
            report.general.push(explain::disable_forbidden(&error));
        }
        if let Some(by) = disabled {
            report.warnings.push(warn::disabled(by));
        }
        for request in requests {
            let index = report.decided.len();
            let decision = match disabled {
                Some(by) => unchecked(&request.reference, by),
                None => match rules.get(&request.reference.gun()) {
                    Some(Ok(rule)) => {
                        let answer = question(&request.reference, rule).and_then(|asked| answers.get(&asked));
                        let case = Case { reference: &request.reference, rule, now: self.now };
                        case.decide(answer, index, &mut report.warnings)
                    }
                    Some(Err(error)) => {
                        Decision::Refused(explain::policy_error(&request.reference.gun(), error))
                    }
                    None => Decision::Refused(explain::undecided(&request.reference)),
                },
            };
            report.decided.push(Decided { request, decision });
        }
        report
    }

    /// Decides about a way in that is no image reference.
    #[must_use]
    pub fn admit_content(&self, content: Content<'_>) -> ContentDecision {
        admit::decide(&self.policy, content, self.disabled())
    }

    /// Who disabled content trust, if the policy lets them.
    #[must_use]
    pub fn disabled(&self) -> Option<DisabledBy> {
        match self.switch {
            TrustSwitch::Enabled => None,
            TrustSwitch::Disabled(by) => self.policy.disable_allowed(by).is_ok().then_some(by),
        }
    }

    /// What the policies require.
    #[must_use]
    pub fn policy(&self) -> &PolicySet {
        &self.policy
    }

    fn rules(&self, requests: &[Request]) -> Rules {
        let mut rules = Rules::new();
        for request in requests {
            let gun = request.reference.gun();
            rules.entry(gun).or_insert_with_key(|gun| self.policy.terms(gun));
        }
        rules
    }

    async fn answers(&self, requests: &[Request], rules: &Rules) -> Answers {
        let mut questions: BTreeMap<Question, &[RepositoryTerms]> = BTreeMap::new();
        for request in requests {
            if let Some(Ok(rule)) = rules.get(&request.reference.gun())
                && let Terms::AllOf(terms) = &rule.terms
                && let Some(question) = question(&request.reference, rule)
            {
                questions.insert(question, terms);
            }
        }
        stream::iter(questions)
            .map(|(question, terms)| async move {
                let answer = self.ask(&question, terms).await;
                (question, answer)
            })
            .buffer_unordered(PARALLEL_LIMIT)
            .collect()
            .await
    }

    /// Every look-up must succeed; the first one that does not is the answer.
    async fn ask(&self, question: &Question, terms: &[RepositoryTerms]) -> Answer {
        let mut targets = Vec::with_capacity(terms.len());
        for terms in terms {
            let want = match &question.wanted {
                Wanted::Tag(tag) => Want::Tag(tag),
                Wanted::Digest(digest) => Want::Digest(digest),
            };
            targets.push(self.trust.find(&question.gun, want, terms).await?);
        }
        Ok(targets)
    }
}

/// One request, with what is required of its repository.
struct Case<'a> {
    reference: &'a Reference,
    rule: &'a RepositoryRule,
    now: Option<Timestamp>,
}

impl Case<'_> {
    fn decide(&self, answer: Option<&Answer>, index: usize, warnings: &mut Vec<super::Warning>) -> Decision {
        let pinned = self.reference.digest().cloned();
        let rule = self.rule.rule.clone();
        match self.rule.trust {
            TrustMode::Disabled => return Decision::Exempt { rule, pinned },
            TrustMode::Audit | TrustMode::Required => {}
        }
        if let Some(Ok(targets)) = answer {
            warn::about_look_ups(targets, index, warnings);
        }
        let refusal = match (self.reference.digest(), self.rule.digest) {
            (None, _) => match self.signed(answer) {
                Ok(target) => return Decision::Pinned(target.clone()),
                Err(refusal) => refusal,
            },
            (Some(digest), DigestRule::Any) => return self.accept_digest(digest, answer, index, warnings),
            (Some(digest), DigestRule::Signed) => match self.signed(answer) {
                Ok(target) if vouched(answer, digest) => {
                    return Decision::DigestAccepted {
                        digest: digest.clone(),
                        checked: Some(target.clone()),
                    };
                }
                Ok(target) => explain::digest_mismatch(self.reference, target, &rule),
                Err(refusal) => refusal,
            },
        };
        match self.rule.trust {
            TrustMode::Required => Decision::Refused(refusal),
            TrustMode::Audit | TrustMode::Disabled => {
                warnings.push(warn::audit(&refusal, index));
                Decision::Unverified { why: Unchecked::Audit { rule, refusal }, pinned }
            }
        }
    }

    /// Docker's rule: a digest passes. What its tag is signed with is only worth a warning.
    fn accept_digest(
        &self,
        digest: &Digest,
        answer: Option<&Answer>,
        index: usize,
        warnings: &mut Vec<super::Warning>,
    ) -> Decision {
        let signed = answer.and_then(|_| self.signed(answer).ok());
        let checked = signed.filter(|_| vouched(answer, digest)).cloned();
        if let (Some(target), None) = (signed, &checked) {
            warnings.push(warn::tag_differs(self.reference, target, index));
        }
        Decision::DigestAccepted { digest: digest.clone(), checked }
    }

    /// The target that all look-ups found.
    fn signed<'t>(&self, answer: Option<&'t Answer>) -> Result<&'t SignedTarget, Refusal> {
        match answer {
            Some(Ok(targets)) => match targets.as_slice() {
                [first, rest @ ..] if rest.iter().all(|target| target.digest == first.digest) => Ok(first),
                [] => Err(explain::undecided(self.reference)),
                targets => Err(explain::disagreeing(self.reference, targets, &self.rule.rule)),
            },
            Some(Err(error)) => Err(explain::trust_error(self.reference, error, self.now)),
            None => match self.rule.terms {
                Terms::Unpinned => Err(explain::unpinned(self.reference, &self.rule.rule)),
                Terms::AllOf(_) => Err(explain::undecided(self.reference)),
            },
        }
    }
}

/// Whether all look-ups found this digest, or an index that it was signed with.
fn vouched(answer: Option<&Answer>, digest: &Digest) -> bool {
    answer.is_some_and(|it| it.as_ref().is_ok_and(|targets| targets.iter().all(|it| it.vouches_for(digest))))
}

type Rules = BTreeMap<Gun, Result<RepositoryRule, PolicyError>>;
type Answers = BTreeMap<Question, Answer>;
type Answer = Result<Vec<SignedTarget>, TrustError>;

/// What is asked of one repository; equal questions are asked once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Question {
    gun: Gun,
    wanted: Wanted,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wanted {
    Tag(Tag),
    Digest(Digest),
}

/// What must be asked to decide about a reference, if anything.
fn question(reference: &Reference, rule: &RepositoryRule) -> Option<Question> {
    if rule.trust == TrustMode::Disabled || rule.terms == Terms::Unpinned {
        return None;
    }
    let wanted = match (reference.digest(), reference.tag(), rule.digest) {
        (None, _, _) => Wanted::Tag(reference.tag_or_latest()),
        (Some(_), Some(tag), _) => Wanted::Tag(tag.clone()),
        (Some(digest), None, DigestRule::Signed) => Wanted::Digest(digest.clone()),
        (Some(_), None, DigestRule::Any) => return None,
    };
    Some(Question { gun: reference.gun(), wanted })
}

fn unchecked(reference: &Reference, by: DisabledBy) -> Decision {
    Decision::Unverified { why: Unchecked::Disabled(by), pinned: reference.digest().cloned() }
}

/// Look-ups under way at once: enough to hide a distant server's latency, few enough for its limits.
const PARALLEL_LIMIT: usize = 16;
