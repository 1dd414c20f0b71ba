//! Which part of a campaign is ours: `--shard I/N`, or what the engine that started us says.
//!
//! Taking the wrong part costs most where nobody notices: N machines that all do the same, or seeds that no machine does. So what
//! was taken is printed, and everything that does not fit is refused: an index without a total, two engines that disagree, an
//! array with holes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The seeds with `seed mod of == index`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Shard {
    /// From 0.
    pub index: u64,
    /// How many shards there are.
    pub of: u64,
}

impl Shard {
    /// All seeds.
    pub(crate) const WHOLE: Shard = Shard { index: 0, of: 1 };
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

/// What the command line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShardArg {
    /// This one.
    Given(Shard),
    /// What the engine says, of so many if it does not tell.
    Auto(Option<u64>),
}

/// Parses `I/N`, `auto` and `auto/N`.
pub(crate) fn parse(text: &str) -> Result<ShardArg, String> {
    let wrong = || "expected I/N with I from 0 to N-1, auto, or auto/N".to_owned();
    let total =
        |text: &str| text.parse::<u32>().ok().filter(|total| *total > 0).ok_or_else(wrong).map(u64::from);
    match text.split_once('/') {
        None if text == "auto" => Ok(ShardArg::Auto(None)),
        Some(("auto", of)) => Ok(ShardArg::Auto(Some(total(of)?))),
        Some((index, of)) => {
            let (index, of) = (index.parse().map_err(|_| wrong())?, total(of)?);
            if index < of { Ok(ShardArg::Given(Shard { index, of })) } else { Err(wrong()) }
        }
        None => Err(wrong()),
    }
}

/// An engine that numbers what it starts by a pair of variables.
struct Engine {
    name: &'static str,
    index: &'static str,
    /// `None`: it does not tell.
    total: Option<&'static str>,
    /// The first index.
    first: u64,
}

const fn engine(name: &'static str, index: &'static str, total: &'static str, first: u64) -> Engine {
    Engine { name, index, total: Some(total), first }
}

const fn without_total(name: &'static str, index: &'static str) -> Engine {
    Engine { name, index, total: None, first: 0 }
}

const ENGINES: &[Engine] = &[
    without_total("Kubernetes indexed job", "JOB_COMPLETION_INDEX"),
    engine("AWS Batch array", "AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE", 0),
    engine("AWS Batch nodes", "AWS_BATCH_JOB_NODE_INDEX", "AWS_BATCH_JOB_NUM_NODES", 0),
    engine("Google Cloud Run job", "CLOUD_RUN_TASK_INDEX", "CLOUD_RUN_TASK_COUNT", 0),
    engine("Google Batch", "BATCH_TASK_INDEX", "BATCH_TASK_COUNT", 0),
    engine("GitLab parallel", "CI_NODE_INDEX", "CI_NODE_TOTAL", 1),
    engine("Buildkite parallelism", "BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT", 0),
    engine("CircleCI parallelism", "CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL", 0),
    engine("Semaphore parallelism", "SEMAPHORE_JOB_INDEX", "SEMAPHORE_JOB_COUNT", 1),
    engine("Bitbucket parallel steps", "BITBUCKET_PARALLEL_STEP", "BITBUCKET_PARALLEL_STEP_COUNT", 0),
    engine("Azure Pipelines parallel", "SYSTEM_JOBPOSITIONINPHASE", "SYSTEM_TOTALJOBSINPHASE", 1),
    engine("Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", 0),
    without_total("PBS array", "PBS_ARRAY_INDEX"),
    without_total("Nomad", "NOMAD_ALLOC_INDEX"),
];

/// A line of help for each engine.
pub(crate) fn engines() -> impl Iterator<Item = String> {
    let slurm = "Slurm arrays and steps: SLURM_ARRAY_TASK_ID, _COUNT ...; SLURM_PROCID, SLURM_NTASKS";
    let pairs = ENGINES.iter().map(|Engine { name, index, total, .. }| match total {
        Some(total) => format!("{name}: {index}, {total}"),
        None => format!("{name}: {index}, with auto/N"),
    });
    std::iter::once(slurm.to_owned()).chain(pairs)
}

/// The shard that `asked` stands for, and a line on where it comes from.
///
/// # Errors
/// No engine, half a pair, or contradictions.
pub(crate) fn resolve(
    asked: Option<ShardArg>,
    var: &dyn Fn(&str) -> Option<String>,
) -> Result<(Shard, Option<String>), String> {
    match asked {
        None => Ok((Shard::WHOLE, None)),
        Some(ShardArg::Given(shard)) => Ok((shard, None)),
        Some(ShardArg::Auto(total)) => {
            let (shard, source) = automatic(total, var)?;
            Ok((shard, Some(format!("shard {shard}, from {source}"))))
        }
    }
}

fn automatic(asked: Option<u64>, var: &dyn Fn(&str) -> Option<String>) -> Result<(Shard, String), String> {
    let mut found: Vec<(Shard, String)> = slurm(var)?.into_iter().collect();
    for engine in ENGINES {
        found.extend(engine.read(asked, var)?);
    }
    let mut found = found.into_iter();
    let Some((shard, source)) = found.next() else {
        return Err("--shard auto: no variable of an engine that we know is set; \
                    see `raftsim fuzz --help`, or give --shard I/N"
            .to_owned());
    };
    if let Some((_, other)) = found.find(|(other, _)| *other != shard) {
        return Err(format!("--shard auto: two engines disagree, {source} and {other}; give --shard I/N"));
    }
    if let Some(total) = asked.filter(|total| *total != shard.of) {
        return Err(format!("--shard auto/{total}: but there are {} shards by {source}", shard.of));
    }
    Ok((shard, source))
}

impl Engine {
    fn read(
        &self,
        asked: Option<u64>,
        var: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<(Shard, String)>, String> {
        let Engine { name, index, total, first } = self;
        let Some(value) = var(index) else {
            return match total.and_then(|total| Some((total, var(total)?))) {
                // GitLab sets it on every job.
                None => Ok(None),
                Some((_, count)) if count == "1" => Ok(None),
                Some((total, count)) => {
                    Err(format!("--shard auto: {total}={count} without {index} is half a pair ({name})"))
                }
            };
        };
        let (of, source) = match total {
            Some(total) => match var(total).or(asked.map(|asked| asked.to_string())) {
                Some(count) => (number(total, &count)?, format!("{name}: {index}={value}, {total}={count}")),
                None => {
                    return Err(format!(
                        "--shard auto: {index}={value} without {total} is half a pair ({name})"
                    ));
                }
            },
            None => match asked {
                Some(asked) => (asked, format!("{name}: {index}={value}, of the {asked} that were given")),
                None => {
                    return Err(format!(
                        "--shard auto: {name} sets {index}={value} and tells no total; \
                                        give it as --shard auto/N"
                    ));
                }
            },
        };
        let index = number(index, &value)?.checked_sub(*first).filter(|index| *index < of);
        let index = index.ok_or_else(|| format!("--shard auto: {source} is no part of a whole"))?;
        Ok(Some((Shard { index, of }, source)))
    }
}

/// An array, the processes of a step, or both: each task of the array runs so many processes.
///
/// Outside of a step (`srun`) `SLURM_PROCID` is set too, though only one process runs, so it counts in a step alone.
fn slurm(var: &dyn Fn(&str) -> Option<String>) -> Result<Option<(Shard, String)>, String> {
    let get = |name: &str| -> Result<Option<u64>, String> {
        var(name).map(|value| number(name, &value)).transpose()
    };
    let array = match (get("SLURM_ARRAY_TASK_ID")?, get("SLURM_ARRAY_TASK_COUNT")?) {
        (None, None) => None,
        (Some(id), Some(count)) => {
            let least = get("SLURM_ARRAY_TASK_MIN")?.unwrap_or(0);
            let step = get("SLURM_ARRAY_TASK_STEP")?.unwrap_or(1).max(1);
            let greatest = get("SLURM_ARRAY_TASK_MAX")?.unwrap_or(least + step * count.saturating_sub(1));
            let source = format!("Slurm array: task {id} of {count}, from {least} to {greatest} by {step}");
            let index =
                id.checked_sub(least).filter(|above| above.is_multiple_of(step)).map(|above| above / step);
            let regular = count > 0 && greatest == least + step * (count - 1);
            match index.filter(|index| regular && *index < count) {
                Some(index) => Some((Shard { index, of: count }, source)),
                None => {
                    return Err(format!(
                        "--shard auto: {source}: an array with holes; submit the whole, \
                                        or give --shard $SLURM_ARRAY_TASK_ID/N"
                    ));
                }
            }
        }
        (id, _) => {
            let (has, lacks) = if id.is_some() { ("ID", "COUNT") } else { ("COUNT", "ID") };
            return Err(format!(
                "--shard auto: SLURM_ARRAY_TASK_{has} without SLURM_ARRAY_TASK_{lacks} is half a pair"
            ));
        }
    };
    // The batch script is a step without a number of its own, and so is what is attached to a job.
    let in_step = get("SLURM_STEP_ID")?.is_some_and(|step| step < 0xffff_fff0);
    let step = match (get("SLURM_PROCID")?, get("SLURM_STEP_NUM_TASKS")?.or(get("SLURM_NTASKS")?)) {
        (Some(process), Some(count)) if in_step && count > 1 => {
            if process >= count {
                return Err(format!(
                    "--shard auto: Slurm step: process {process} of {count} is no part of a whole"
                ));
            }
            Some((Shard { index: process, of: count }, format!("Slurm step: process {process} of {count}")))
        }
        (Some(_), None) if in_step => {
            return Err("--shard auto: SLURM_PROCID without SLURM_NTASKS is half a pair".to_owned());
        }
        _ => None,
    };
    Ok(match (array, step) {
        (Some((array, a)), Some((step, b))) => {
            let index = array.index * step.of + step.index;
            Some((Shard { index, of: array.of * step.of }, format!("{a}; {b}")))
        }
        (array, step) => array.or(step),
    })
}

fn number(name: &str, value: &str) -> Result<u64, String> {
    // 32 bits are more than any engine has, and leave room for sums.
    value
        .trim()
        .parse::<u32>()
        .map(u64::from)
        .map_err(|_| format!("--shard auto: {name}={value} is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auto(total: Option<u64>, vars: &[(&str, &str)]) -> Result<(u64, u64), String> {
        let var = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        resolve(Some(ShardArg::Auto(total)), &var).map(|(shard, _)| (shard.index, shard.of))
    }

    fn refused(total: Option<u64>, vars: &[(&str, &str)]) -> String {
        auto(total, vars).expect_err("no shard")
    }

    #[test]
    fn shards_are_written_as_fractions() {
        assert_eq!(parse("1/4"), Ok(ShardArg::Given(Shard { index: 1, of: 4 })));
        assert_eq!((parse("auto"), parse("auto/8")), (Ok(ShardArg::Auto(None)), Ok(ShardArg::Auto(Some(8)))));
        for wrong in ["4/4", "1", "/", "a/b", "0/0", "auto/0", "autos", "-1/2"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_engine_gives_its_first_and_its_last_shard() {
        for engine in ENGINES {
            for (value, index) in [(engine.first, 0), (engine.first + 4, 4)] {
                let value = value.to_string();
                let mut vars = vec![(engine.index, value.as_str())];
                let asked = if engine.total.is_some() { None } else { Some(5) };
                vars.extend(engine.total.map(|total| (total, "5")));
                assert_eq!(auto(asked, &vars), Ok((index, 5)), "{}", engine.name);
            }
        }
    }

    #[test]
    fn half_a_pair_is_refused() {
        for engine in ENGINES {
            let message = refused(None, &[(engine.index, "1")]);
            assert!(message.contains("half a pair") || message.contains("auto/N"), "{message}");
            if let Some(total) = engine.total {
                assert!(refused(None, &[(total, "3")]).contains("half a pair"), "{}", engine.name);
                let past = (engine.first + 3).to_string();
                assert!(refused(None, &[(engine.index, &past), (total, "3")]).contains("no part"));
            }
        }
        assert!(refused(None, &[]).contains("--shard I/N"));
        assert!(refused(None, &[("SLURM_ARRAY_TASK_ID", "1")]).contains("half a pair"));
        assert!(
            refused(None, &[("CIRCLE_NODE_INDEX", "x"), ("CIRCLE_NODE_TOTAL", "3")]).contains("no number")
        );
    }

    #[test]
    fn the_total_that_is_given_must_be_that_of_the_engine() {
        let vars = [("CIRCLE_NODE_INDEX", "1"), ("CIRCLE_NODE_TOTAL", "3")];
        assert_eq!(auto(Some(3), &vars), Ok((1, 3)));
        assert!(refused(Some(4), &vars).contains("3 shards"));
        assert!(refused(Some(2), &[("JOB_COMPLETION_INDEX", "2")]).contains("no part of a whole"));
    }

    #[test]
    fn engines_that_disagree_are_refused() {
        let circle = [("CIRCLE_NODE_INDEX", "1"), ("CIRCLE_NODE_TOTAL", "3")];
        let mpi = [("OMPI_COMM_WORLD_RANK", "1"), ("OMPI_COMM_WORLD_SIZE", "3")];
        assert_eq!(auto(None, &[circle, mpi].concat()), Ok((1, 3)));
        let mpi = [("OMPI_COMM_WORLD_RANK", "2"), ("OMPI_COMM_WORLD_SIZE", "3")];
        assert!(refused(None, &[circle, mpi].concat()).contains("disagree"));
    }

    fn slurm_array(
        id: &'static str,
        min: &'static str,
        max: &'static str,
    ) -> Vec<(&'static str, &'static str)> {
        let step = ("SLURM_ARRAY_TASK_STEP", "2");
        vec![
            ("SLURM_ARRAY_TASK_ID", id),
            ("SLURM_ARRAY_TASK_COUNT", "3"),
            ("SLURM_ARRAY_TASK_MIN", min),
            ("SLURM_ARRAY_TASK_MAX", max),
            step,
        ]
    }

    #[test]
    fn slurm_arrays_begin_anywhere_and_have_no_holes() {
        assert_eq!(auto(None, &slurm_array("10", "10", "14")), Ok((0, 3)));
        assert_eq!(auto(None, &slurm_array("14", "10", "14")), Ok((2, 3)));
        assert!(refused(None, &slurm_array("14", "10", "16")).contains("holes"));
        assert!(refused(None, &slurm_array("11", "10", "14")).contains("holes"));
    }

    #[test]
    fn slurm_steps_divide_the_task_of_an_array() {
        let step = [("SLURM_STEP_ID", "0"), ("SLURM_PROCID", "1"), ("SLURM_NTASKS", "2")];
        assert_eq!(auto(None, &step), Ok((1, 2)));
        assert_eq!(auto(None, &[&slurm_array("14", "10", "14")[..], &step].concat()), Ok((5, 6)));
        // In the batch script itself there is one process, whatever the variables say.
        let batch = [("SLURM_PROCID", "0"), ("SLURM_NTASKS", "2")];
        assert_eq!(auto(None, &[&slurm_array("14", "10", "14")[..], &batch].concat()), Ok((2, 3)));
    }
}
