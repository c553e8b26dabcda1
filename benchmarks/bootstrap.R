# The lme4 side of bootstrap.py: bootMer on the data that it wrote.
#   Rscript bootstrap.R FOLDER    prints one line per case: name, replicates, seconds
suppressMessages(library(lme4))

statistic <- function(fit) c(as.data.frame(VarCorr(fit))$sdcor, fixef(fit))

folder <- commandArgs(trailingOnly = TRUE)[1]
cases <- read.delim(file.path(folder, "cases.tsv"), stringsAsFactors = FALSE)
for (k in seq_len(nrow(cases))) {
  data <- read.csv(file.path(folder, paste0(cases$name[k], ".csv")))
  data$g <- factor(data$g)
  fit <- suppressMessages(lmer(as.formula(cases$formula[k]), data))
  seconds <- system.time(suppressMessages(bootMer(fit, statistic, nsim = cases$replicates[k], seed = 1)))
  cat(cases$name[k], cases$replicates[k], seconds[["elapsed"]], sep = "\t")
  cat("\n")
}
