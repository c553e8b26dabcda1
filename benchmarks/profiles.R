# Profiles by lme4: all parameters of a fit by maximum likelihood, in base R and lme4 only.
#   Rscript profiles.R DATA.csv FORMULA REPEATS    the median CPU seconds, then the 95 % limits, as tab-separated lines
arguments <- commandArgs(trailingOnly = TRUE)
suppressMessages(library(lme4))
data <- read.csv(arguments[1], stringsAsFactors = TRUE)
data$Subject <- factor(data$Subject)
fit <- lmer(as.formula(arguments[2]), data, REML = FALSE)
seconds <- replicate(as.integer(arguments[3]), {
  taken <- system.time(profiled <<- suppressWarnings(profile(fit, signames = FALSE)))
  taken[["user.self"]] + taken[["sys.self"]]
})
cat("seconds", median(seconds), sep = "\t")
cat("\n")
limits <- suppressWarnings(confint(profiled))
for (name in rownames(limits)) cat(name, format(limits[name, ], digits = 10), sep = "\t", fill = 200)
