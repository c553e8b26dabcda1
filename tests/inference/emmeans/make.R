# Writes results.json: what R's emmeans says about the cases of cases.json. The tests read it and need no R.
# Made with R 4.2.2, lme4 1.1-31, lmerTest 3.1-3, pbkrtest 0.5.2, emmeans 1.8.4-1:  Rscript make.R
suppressMessages({library(lme4); library(lmerTest); library(emmeans); library(jsonlite); library(splines)})
options(warn = -1)
trial <- read.csv("trial.csv", colClasses = c(g = "character"))
trial$A <- factor(trial$A)
trial$B <- factor(trial$B, levels = c("lo", "hi"))
trial$late <- as.logical(trial$late)
trial$grade <- factor(trial$grade, levels = c("low", "mid", "high", "top"), ordered = TRUE)
control <- lmerControl(optCtrl = list(xtol_abs = 1e-14, ftol_abs = 1e-14))
read <- function(text) fromJSON(text, simplifyDataFrame = FALSE, simplifyMatrix = FALSE)

numbers <- function(table, names) {
  names <- intersect(names, names(table))
  lapply(setNames(names, names), function(n) {
    values <- as.numeric(table[[n]])
    I(ifelse(is.infinite(values) | is.nan(values), NA, values))
  })
}

ask <- function(case) {
  d <- trial
  if (!is.null(case$without)) d <- subset(d, !(A == case$without[[1]] & B == case$without[[2]]))
  call <- list(formula = as.formula(case$formula), data = d, control = control)
  if (!is.null(case$coding)) call$contrasts <- case$coding
  if (!is.null(case$prior)) call$weights <- d[[case$prior]]
  fit <- suppressMessages(do.call(lmerTest::lmer, call))
  specs <- if (length(case$specs)) unlist(case$specs) else "1"
  question <- list(fit, specs = specs, data = d, lmer.df = case$ddf)
  if (!is.null(case$by)) question$by <- unlist(case$by)
  if (!is.null(case$at)) question$at <- lapply(case$at, unlist)
  if (!is.null(case$weights)) question$weights <- case$weights
  if (!is.null(case$trend)) question$var <- case$trend
  means <- suppressMessages(do.call(if (is.null(case$trend)) emmeans else emtrends, question))
  table <- as.data.frame(confint(means))
  names(table) <- sub(".*\\.trend$", "emmean", sub("asymp.LCL", "lower.CL", sub("asymp.UCL", "upper.CL", names(table))))
  labels <- lapply(table[intersect(names(table), names(trial))], function(x) I(as.character(x)))
  found <- list(labels = labels, means = numbers(table, c("emmean", "SE", "df", "lower.CL", "upper.CL")))
  method <- if (is.null(case$method)) "pairwise" else case$method
  if (nrow(table) == 1 || method == "none") return(found)
  compared <- if (!is.null(case$interaction)) contrast(means, interaction = unlist(case$interaction), by = unlist(case$by))
    else if (is.null(case$adjust)) contrast(means, method)
    else contrast(means, method, adjust = case$adjust)
  table <- as.data.frame(summary(compared, infer = c(TRUE, TRUE)))
  names(table) <- sub("asymp.LCL", "lower.CL", sub("asymp.UCL", "upper.CL", names(table)))
  first <- if (is.null(case$interaction)) "contrast" else paste(names(case$interaction), case$interaction, sep = "_")
  found$names <- lapply(unname(as.list(table[first])), function(x) I(as.character(x)))
  found$contrasts <- numbers(table, c("estimate", "SE", "df", "p.value", "lower.CL", "upper.CL"))
  found
}

cases <- read("cases.json")
results <- lapply(cases, ask)
names(results) <- sapply(cases, `[[`, "id")
lines <- sapply(names(results), function(id) paste0("\"", id, "\": ", toJSON(results[[id]], digits = I(12), na = "null")))
writeLines(c("{", paste(lines, collapse = ",\n"), "}"), "results.json")
