# The R side of kenward_roger.py:   Rscript kenward_roger.R DATA.csv FORMULA OUT.json

suppressPackageStartupMessages(library(lmerTest))
args <- commandArgs(trailingOnly = TRUE)
data <- read.csv(args[1])
for (name in c("a", "b")) data[[name]] <- factor(data[[name]])
tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-9))
fit <- lmer(as.formula(args[2]), data, control = tight)
report <- function(vcov_adj, summary_s, df) {
  df <- paste(sprintf("%.15g", df), collapse = ", ")
  writeLines(sprintf("{\"vcov_adj\": %s, \"summary\": %s, \"df\": [%s]}", vcov_adj, summary_s, df), args[3])
}

vcov_adj <- system.time(pbkrtest::vcovAdj(fit))[["elapsed"]]
report(vcov_adj, "null", numeric(0))               # in case that the time is over before the next line is
summary_s <- system.time(table <- coef(summary(fit, ddf = "Kenward-Roger")))[["elapsed"]]
report(vcov_adj, summary_s, table[, "df"])
